import { ratioOf, type Spread, spreadOf } from "./measure.js";

/** One prompt, one way. */
export interface PrefillRun {
  readonly found: boolean;
  readonly timeToFirstTokenMs: number;
  /** Attention and choosing its masks. */
  readonly attentionMs: number;
  readonly estimateMs: number;
  readonly projectionMs: number;
  /** Cells computed / causal cells. */
  readonly computed: number;
}

export interface PromptRow {
  /** Where the needle stands: 0 start, 1 end. */
  readonly depth: number;
  readonly seed: number;
  readonly tokens: number;
  readonly configured: PrefillRun;
  readonly dense?: PrefillRun;
  /** Time to first token of ONNX Runtime, without tokenization. */
  readonly baselineMs?: number;
}

type Measured = Exclude<keyof PrefillRun, "found">;

export interface PrefillSummary {
  readonly prompts: number;
  readonly configuredFound: number;
  readonly configured: Readonly<Record<Measured, Spread>>;
  /** Over the prompts that also ran dense. */
  readonly dense?: DenseSummary;
  /** ONNX Runtime / each variant in time to first token, prompt by prompt, over the prompts that ran both. */
  readonly baselineOver?: { readonly configured: Spread; readonly dense?: Spread };
}

export interface DenseSummary {
  readonly prompts: number;
  readonly found: number;
  /** Of the prompts whose needle the dense run finds: how many the configured run finds as well. */
  readonly foundByBoth: number;
  readonly measured: Readonly<Record<Measured, Spread>>;
  /** Dense / configured, prompt by prompt. */
  readonly overConfigured: Readonly<Record<"timeToFirstTokenMs" | "attentionMs", Spread>>;
  /** Time of the estimate / attention time of the dense run. */
  readonly estimateShare: Spread;
}

export function summarizePrefill(rows: readonly PromptRow[]): PrefillSummary {
  const both = rows.filter((row) => row.dense !== undefined);
  const withBaseline = rows.filter((row) => row.baselineMs !== undefined);
  return {
    prompts: rows.length,
    configuredFound: rows.filter((row) => row.configured.found).length,
    configured: spreads(rows.map((row) => row.configured)),
    ...(both.length > 0 && { dense: summarizeDense(both) }),
    ...(withBaseline.length > 0 && { baselineOver: baselineRatios(withBaseline) }),
  };
}

function summarizeDense(rows: readonly PromptRow[]): DenseSummary {
  const measured = spreads(rows.map((row) => row.dense!));
  const configured = spreads(rows.map((row) => row.configured));
  const found = rows.filter((row) => row.dense!.found);
  return {
    prompts: rows.length,
    found: found.length,
    foundByBoth: found.filter((row) => row.configured.found).length,
    measured,
    overConfigured: {
      timeToFirstTokenMs: ratioOf(measured.timeToFirstTokenMs, configured.timeToFirstTokenMs),
      attentionMs: ratioOf(measured.attentionMs, configured.attentionMs),
    },
    estimateShare: ratioOf(configured.estimateMs, measured.attentionMs),
  };
}

function baselineRatios(rows: readonly PromptRow[]): NonNullable<PrefillSummary["baselineOver"]> {
  const over = (variant: "configured" | "dense") => {
    const paired = rows.filter((row) => row[variant] !== undefined);
    return paired.map((row) => row.baselineMs! / row[variant]!.timeToFirstTokenMs);
  };
  const dense = over("dense");
  return { configured: spreadOf(over("configured")), ...(dense.length > 0 && { dense: spreadOf(dense) }) };
}

function spreads(runs: readonly PrefillRun[]): Record<Measured, Spread> {
  const of = (name: Measured) => spreadOf(runs.map((run) => run[name]));
  return {
    timeToFirstTokenMs: of("timeToFirstTokenMs"),
    attentionMs: of("attentionMs"),
    estimateMs: of("estimateMs"),
    projectionMs: of("projectionMs"),
    computed: of("computed"),
  };
}
