import type {
  AttentionBench,
  Conditions,
  DecodeBench,
  EstimateBench,
  MachineConditions,
  MasksBench,
  MemoryBench,
  PrefillBench,
  ResponsivenessBench,
} from "@winnow/evaluate/bench";
import { mebibytes, percent, type Receipt } from "@winnow/runtime";
import { table } from "../table.js";
import { duration, met, ratio, shape, spread } from "./format.js";

export const LEGEND = "Values are medians (smallest..largest); ratios are taken round by round.";

export function attentionTable({ rows, conditions }: AttentionBench): string {
  const body = rows.map(({ milliseconds: ms, gigaflops, onnxOverNative, ...row }) => [
    `${shape(row.shape)}, ${row.length}`,
    `${spread(ms.nativeF32, duration)}\n${gigaflops.nativeF32.toFixed(0)} GFLOP/s`,
    `${spread(ms.nativeBf16, duration)}\n${gigaflops.nativeBf16.toFixed(0)} GFLOP/s`,
    `${spread(ms.onnxF32, duration)}\n${gigaflops.onnxF32.toFixed(0)} GFLOP/s`,
    spread(onnxOverNative.f32, ratio),
    spread(onnxOverNative.bf16, ratio),
  ]);
  const head = ["shape, tokens", "native f32", "native bf16", "onnx f32", "onnx / f32", "onnx / bf16"];
  return [table(head, body), LEGEND, kernelConditions(conditions)].join("\n");
}

export function masksTable({ rows, conditions, target, ...bench }: MasksBench): string {
  const body = rows.map((row) => [
    row.mask,
    row.dtype,
    percent(row.density),
    percent(row.computed),
    spread(row.milliseconds, duration),
    spread(row.timeRatio, percent),
    percent(row.fastestRatio),
    row.mask === "dense" ? "" : `${signed(row.excess)} ${met(row.excess <= target)}`,
  ]);
  const head = ["mask", "cache", "density", "computed", "time", "time / dense", "fastest / fastest", "over density"];
  return [
    table(head, body),
    `${shape(bench.shape)}, ${bench.length} tokens. Target: time / dense at most density + ${target}.`,
    LEGEND,
    kernelConditions(conditions),
  ].join("\n");
}

export function estimateTable({ rows, conditions, plugin, options, ...bench }: EstimateBench): string {
  const body = rows.map(({ milliseconds: ms, ...row }) => [
    row.length,
    row.dtype,
    spread(ms.estimate, duration),
    spread(ms.sparse, duration),
    spread(ms.dense, duration),
    spread(row.share, percent),
    percent(row.density),
    spread(row.speedup, ratio),
  ]);
  const head = [
    ...["tokens", "cache", "choosing masks", "attention", "dense attention"],
    ...["choosing / dense", "density", "dense / both"],
  ];
  return [
    table(head, body),
    `${plugin} ${JSON.stringify(options)}, ${shape(bench.shape)}; random operands with attention sinks and a preference for near keys.`,
    LEGEND,
    kernelConditions(conditions),
  ].join("\n");
}

export function prefillTable({ summary, length, receipt }: PrefillBench): string {
  const { configured, dense, baselineOver } = summary;
  const row = (label: string, key: keyof typeof configured, format: (value: number) => string, over = "") => [
    label,
    spread(configured[key], format),
    dense ? spread(dense.measured[key], format) : "-",
    over,
  ];
  const over = (key: "timeToFirstTokenMs" | "attentionMs") => (dense ? spread(dense.overConfigured[key], ratio) : "");
  const body = [
    [
      "needle found",
      `${summary.configuredFound} of ${summary.prompts}`,
      dense ? `${dense.found} of ${dense.prompts}` : "-",
      dense ? `${dense.foundByBoth} of ${dense.found} that dense finds` : "",
    ],
    row("time to first token", "timeToFirstTokenMs", duration, over("timeToFirstTokenMs")),
    row("  attention and choosing masks", "attentionMs", duration, over("attentionMs")),
    row(
      "  choosing masks",
      "estimateMs",
      duration,
      dense && `${spread(dense.estimateShare, percent)} of dense attention`,
    ),
    row("  projections and the rest", "projectionMs", duration),
    row("attention cells computed", "computed", percent),
  ];
  if (baselineOver) {
    const { configured: first, dense: second } = baselineOver;
    body.push([
      "onnx (f32) / each, time to first token",
      spread(first, ratio),
      second ? spread(second, ratio) : "-",
      "",
    ]);
  }
  return [
    table(["", "configured", "dense", "dense / configured"], body),
    `Needle prompts of ${length} tokens. ${LEGEND}`,
    receiptConditions(receipt),
  ].join("\n");
}

export function decodeTable({ full, pruned, baselineTokenMs, ...bench }: DecodeBench): string {
  const body = [
    ["needle found", full.found ? "yes" : "no", pruned.found ? "yes" : "no", ""],
    [
      "time per token",
      spread(full.tokenMs, duration),
      spread(pruned.tokenMs, duration),
      spread(bench.tokenRatio, percent),
    ],
    [
      "  attention",
      spread(full.attentionMs, duration),
      spread(pruned.attentionMs, duration),
      spread(bench.attentionRatio, percent),
    ],
    [
      "  choosing what it reads",
      spread(full.selectMs, duration),
      spread(pruned.selectMs, duration),
      `together ${spread(bench.withSelectionRatio, percent)}`,
    ],
    ["cache bytes read per token", mebibytes(full.bytesRead), mebibytes(pruned.bytesRead), percent(bench.bytesRatio)],
    ["cached tokens read", percent(full.read), percent(pruned.read), ""],
  ];
  if (baselineTokenMs) body.push(["onnx (f32), time per token", spread(baselineTokenMs, duration), "", ""]);
  return [
    table(["", "whole cache", "configured", "configured / whole"], body),
    `Attention time over bytes: ${signed(bench.deviation)} (target: within ${percent(bench.target)}) ${met(Math.abs(bench.deviation) <= bench.target)}`,
    `${bench.promptTokens} prompt tokens, ${bench.tokens} generated. ${LEGEND}`,
    receiptConditions(bench.receipts.pruned),
  ].join("\n");
}

export function memoryTable({ peakBytes, cacheBytes, peakRatio, length, receipts }: MemoryBench): string {
  const body = [
    [
      "peak memory",
      spread(peakBytes.dense, mebibytes),
      spread(peakBytes.configured, mebibytes),
      spread(peakRatio, percent),
    ],
    [
      "KV cache",
      mebibytes(cacheBytes.dense),
      mebibytes(cacheBytes.configured),
      percent(cacheBytes.configured / cacheBytes.dense),
    ],
  ];
  return [
    table(["", "dense", "configured", "configured / dense"], body),
    `One needle prompt of ${length} tokens in a fresh process. ${LEGEND}`,
    receiptConditions(receipts.configured),
  ].join("\n");
}

export function responsivenessTable({
  maxDelayMs,
  together,
  aborts,
  abortMs,
  length,
  receipt,
}: ResponsivenessBench): string {
  const milliseconds = (value: number) => `${value.toFixed(1)} ms`;
  const body = [["event loop held up at most, one prompt", spread(maxDelayMs, milliseconds)]];
  if (together) {
    const { sequences } = together;
    body.push(
      [`event loop held up at most, ${sequences} prompts at once`, spread(together.maxDelayMs, milliseconds)],
      [`answers of ${sequences} prompts at once as alone`, together.sameAnswers ? "yes" : "no"],
    );
  }
  body.push([`abort to rejection, ${aborts.length} aborts`, abortMs ? spread(abortMs, milliseconds) : "-"]);
  return [
    table(["", "measured"], body),
    `Needle prompts of ${length} tokens. ${LEGEND}`,
    receiptConditions(receipt),
  ].join("\n");
}

export function kernelConditions(conditions: Conditions): string {
  return `${machine(conditions)}; ${conditions.threads} threads, ${conditions.isa}.`;
}

export function machine({ cpu, cores, node, platform }: MachineConditions): string {
  return `${cpu}, ${cores} cores, ${platform}, Node ${node}`;
}

function receiptConditions({ machine, versions, isa, plan }: Receipt): string {
  const kernels = Object.entries(isa).map(([id, set]) => `${id} (${set})`);
  const plugins = (plan.plugins as readonly { readonly id: string }[]).map(({ id }) => id);
  return [
    `Plugins: ${plugins.join(", ") || "none"}. Kernels: ${kernels.join(", ")}, ${plan.precision}.`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${versions.node}; ${plan.threads} threads.`,
  ].join("\n");
}

function signed(share: number): string {
  return `${share < 0 ? "-" : "+"}${percent(Math.abs(share))}`;
}
