import type { Plan } from "../plan/plan.js";
import type { PrunedOnLoad } from "../workers/messages.js";
import { machineInfo, peakMemory, versionInfo } from "./machine.js";
import type { Receipt } from "./receipt.js";
import type { DecodeStats, InnerPrunerStats, PrefillStats } from "./stats.js";
import type { WeightFormatSummary } from "./weight-formats.js";

export interface RunRecord {
  readonly plan: Plan;
  readonly isa: Readonly<Record<string, string>>;
  readonly dense: boolean;
  readonly answer: { readonly tokens: number; readonly text: string; readonly finish: string };
  readonly encodeMs: number;
  readonly timeToFirstTokenMs: number;
  readonly totalMs: number;
  readonly maxDelayMs: number;
  readonly prefill: PrefillStats;
  readonly decode: DecodeStats;
  readonly weights: readonly WeightFormatSummary[];
  readonly pruned: PrunedOnLoad | undefined;
}

export function buildReceipt(run: RunRecord): Receipt {
  const { prefill, decode } = run;
  const later = run.answer.tokens - 1;
  return {
    format: "winnow-receipt-1",
    createdAt: new Date().toISOString(),
    versions: versionInfo(),
    machine: machineInfo(),
    plan: run.plan as unknown as Record<string, unknown>,
    isa: { ...run.isa },
    variant: run.dense ? "dense" : "configured",
    prompt: { tokens: prefill.tokens },
    answer: { ...run.answer },
    timing: {
      encodeMs: run.encodeMs,
      timeToFirstTokenMs: run.timeToFirstTokenMs,
      timePerOutputTokenMs: later > 0 ? (run.totalMs - run.timeToFirstTokenMs) / later : null,
      totalMs: run.totalMs,
    },
    memory: { peakBytes: peakMemory(), cacheBytes: prefill.cacheBytes },
    eventLoop: { maxDelayMs: run.maxDelayMs },
    density: {
      prefillKept: mean(prefill.layers.flatMap((layer) => layer.groups.flatMap(headDensities))),
      prefillComputed: ratio(
        sum(prefill.layers, (layer) => layer.cellsComputed),
        sum(prefill.layers, (layer) => layer.causalCells),
      ),
      decodeRead:
        decode.tokens > 0
          ? ratio(
              sum(decode.layers, (layer) => layer.tokensRead),
              sum(decode.layers, (layer) => layer.tokensCached),
            )
          : null,
      decodeElementsRead: decode.tokens > 0 ? elementsRead(run) : null,
      cacheKept: mean(prefill.layers.flatMap((layer) => layer.tokensKept.map((kept) => kept / prefill.tokens))),
    },
    weights: {
      pruned: run.pruned ? { ...run.pruned } : null,
      bytes: sum(run.weights, ({ bytes }) => bytes),
      bytesReadPerToken: decode.tokens > 0 ? decode.weightBytesRead / decode.tokens : null,
      formats: run.weights.map((format) => ({ ...format })),
    },
    prefill: structuredClone({ ...prefill, layers: prefill.layers.map(withAskedPruners) }) as Receipt["prefill"],
    decode: structuredClone({ ...decode, layers: decode.layers.map(withAskedPruners) }) as Receipt["decode"],
    fallbacks: run.plan.fallbacks.map((fallback) => ({ ...fallback })),
  };
}

function elementsRead({ plan, decode }: RunRecord): number {
  const cached = sum(decode.layers, ({ tokensCached }) => tokensCached);
  return ratio(
    sum(decode.layers, (layer) => layer.elementsRead),
    2 * plan.model.shape.headDim * cached,
  );
}

/** Pruners that a layer never asked are left out; most wrappers hold one for other layers. */
function withAskedPruners<Layer extends { readonly innerPruners?: readonly InnerPrunerStats[] }>(layer: Layer): Layer {
  const { innerPruners, ...rest } = layer;
  const asked = askedPruners(innerPruners ?? []);
  return { ...rest, ...(asked.length > 0 && { innerPruners: asked }) } as Layer;
}

function askedPruners(pruners: readonly InnerPrunerStats[]): InnerPrunerStats[] {
  return pruners
    .map((pruner) => ({ ...pruner, inner: askedPruners(pruner.inner) }))
    .filter(({ calls, inner }) => calls > 0 || inner.length > 0);
}

/** One density per head; a group with one mask for all of its heads counts that often. */
function headDensities(group: PrefillStats["layers"][number]["groups"][number]): number[] {
  const heads = group.heads.end - group.heads.start;
  return group.density.length === 1 ? new Array<number>(heads).fill(group.density[0]) : [...group.density];
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function mean(values: readonly number[]): number {
  return ratio(
    sum(values, (value) => value),
    values.length,
  );
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
