import { nestedName } from "../plan/nested-name.js";
import type { PlannedInner } from "../plan/plan.js";
import { groupFallbacks } from "./fallbacks.js";
import type { Receipt } from "./receipt.js";

/** A receipt in a few lines. */
export function summarizeReceipt(receipt: Receipt): string {
  const { timing, prefill, decode, density, memory } = receipt;
  const prefillPlugins = namesOf(receipt, "prefill", "masker");
  const decodePlugins = namesOf(receipt, "decode", "kvPruner");
  const lines = [
    `${receipt.variant === "configured" ? `${prefillPlugins} + ${decodePlugins}` : receipt.variant}: ${receipt.prompt.tokens} prompt tokens, ${receipt.answer.tokens} new (${receipt.answer.finish})`,
    `  first token ${seconds(timing.timeToFirstTokenMs)}${timing.timePerOutputTokenMs === null ? "" : `, then ${timing.timePerOutputTokenMs.toFixed(2)} ms a token`}`,
    `  prefill ${seconds(prefill.totalMs)}: projections ${seconds(prefill.projectionMs)}, choosing masks ${seconds(prefill.estimateMs)}, attention ${seconds(prefill.attentionMs)}`,
    `  attention computed ${percent(density.prefillComputed)} of the causal cells (mask ${percent(density.prefillKept)})`,
    density.decodeRead === null
      ? "  no decode steps"
      : `  decode read ${percent(density.decodeRead)} of the cached tokens${elementsText(density)}; attention ${perStep(decode.attentionMs, decode.tokens)}, selection ${perStep(decode.selectMs, decode.tokens)} a token`,
    weightLine(receipt),
    `  cache ${mebibytes(memory.cacheBytes)} (${percent(density.cacheKept)} of the tokens), peak memory ${mebibytes(memory.peakBytes)}, event loop held up at most ${receipt.eventLoop.maxDelayMs.toFixed(0)} ms`,
    `  kernels ${Object.entries(receipt.isa)
      .map(([id, isa]) => `${id} (${isa})`)
      .join(", ")}`,
    ...groupFallbacks(receipt.fallbacks).map(
      ({ wanted, replacements }) => `  fallback from ${wanted}: ${replacements}`,
    ),
  ];
  return lines.join("\n");
}

/** Only where rows are compressed does the share of elements say more than that of tokens. */
function elementsText({ decodeRead, decodeElementsRead }: Receipt["density"]): string {
  return decodeElementsRead === null || decodeElementsRead === decodeRead
    ? ""
    : ` and ${percent(decodeElementsRead)} of their elements`;
}

function weightLine({ weights }: Receipt): string {
  const formats = weights.formats.map(({ format, dtype, zeros }) => {
    return `${format} ${dtype}${zeros === null ? "" : ` (${percent(zeros)} zeros)`}`;
  });
  const read = weights.bytesReadPerToken === null ? "" : `, ${mebibytes(weights.bytesReadPerToken)} read a token`;
  const { pruned } = weights;
  const origin = pruned ? `; pruned in ${seconds(1000 * pruned.seconds)}${pruned.reused ? " (reused)" : ""}` : "";
  return `  weights ${mebibytes(weights.bytes)}${read}: ${formats.join(", ")}${origin}`;
}

function namesOf(receipt: Receipt, part: "prefill" | "decode", key: "masker" | "kvPruner"): string {
  const entries = (receipt.plan[part] ?? []) as readonly Record<string, unknown>[];
  const names = [
    ...new Set(
      entries.map((entry) => nestedName(String(entry[key]), entry.inner as readonly PlannedInner[] | undefined)),
    ),
  ];
  return names.length > 0 ? names.join("/") : part === "prefill" ? "dense" : "full cache";
}

export function seconds(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 2 : 1)} %`;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

function perStep(milliseconds: number, steps: number): string {
  return `${(milliseconds / Math.max(1, steps)).toFixed(2)} ms`;
}
