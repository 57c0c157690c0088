import { createOnnxBaseline, type OnnxBaseline } from "@winnow/kernels-onnx";
import type { Engine, Receipt } from "@winnow/runtime";
import { answersNeedle } from "../needle/needle-prompt.js";
import { type BenchHooks, roundOrder } from "./measure.js";
import { ANSWER_TOKENS, type BenchPrompt, needlePrompts } from "./needles.js";
import { readBaselineModel } from "./onnx-model.js";
import { type PrefillRun, type PrefillSummary, type PromptRow, summarizePrefill } from "./prefill-summary.js";

export interface PrefillBenchOptions extends BenchHooks {
  readonly length: number;
  readonly prompts: number;
  /** How many of the prompts also run dense, spread over all depths. */
  readonly densePrompts: number;
  /** How many of the prompts also run wholly through ONNX Runtime, in float32; 0: none. That blocks this thread. */
  readonly baselinePrompts: number;
}

export interface PrefillBench {
  readonly bench: "prefill";
  readonly length: number;
  readonly rows: readonly PromptRow[];
  readonly summary: PrefillSummary;
  /** Of the last run: plan, machine, instruction set. */
  readonly receipt: Receipt;
}

const WARM_UP_TOKENS = 1024;

/** Needle prompts with the configured plugins, dense, and through ONNX Runtime: one after the other in one process, the order changing from prompt to prompt. */
export async function benchPrefill(engine: Engine, options: PrefillBenchOptions): Promise<PrefillBench> {
  const prompts = await needlePrompts(engine, { ...options, count: options.prompts });
  const baseline = options.baselinePrompts > 0 ? await openBaseline(engine) : undefined;
  try {
    const warmUp = prompts[0].ids.slice(0, WARM_UP_TOKENS);
    await engine.generate({ ids: warmUp }, { maxNewTokens: 1, signal: options.signal }).text();
    await baseline?.prefill(warmUp);
    const rows = await runPrompts(engine, baseline, prompts, options);
    const { length } = options;
    return { bench: "prefill", length, rows, summary: summarizePrefill(rows), receipt: engine.receipt()! };
  } finally {
    await baseline?.close();
  }
}

/** The engine's model run wholly through ONNX Runtime, with as many threads. */
export function openBaseline({ plan }: Engine): Promise<OnnxBaseline> {
  return createOnnxBaseline(readBaselineModel(plan.model.folder), { threads: plan.threads });
}

async function runPrompts(
  engine: Engine,
  baseline: OnnxBaseline | undefined,
  prompts: readonly BenchPrompt[],
  { signal, onProgress, ...options }: PrefillBenchOptions,
): Promise<PromptRow[]> {
  const alsoDense = spreadIndices(options.densePrompts, prompts.length);
  const alsoBaseline = spreadIndices(options.baselinePrompts, prompts.length);
  const rows: PromptRow[] = [];
  for (const [index, prompt] of prompts.entries()) {
    const { depth, seed } = prompt;
    const row: { -readonly [Key in keyof PromptRow]?: PromptRow[Key] } = { depth, seed, tokens: prompt.ids.length };
    const variants = {
      configured: async () => {
        row.configured = await runPrompt(engine, prompt, { dense: false, signal });
      },
      ...(alsoDense.has(index) && {
        dense: async () => {
          row.dense = await runPrompt(engine, prompt, { dense: true, signal });
        },
      }),
      ...(alsoBaseline.has(index) && {
        "ONNX Runtime": async () => {
          row.baselineMs = 1000 * (await baseline!.prefill(prompt.ids)).seconds;
        },
      }),
    };
    for (const [name, run] of roundOrder(Object.entries(variants), index)) {
      onProgress?.(index / prompts.length, `prompt ${index + 1} of ${prompts.length}, ${name}`);
      signal?.throwIfAborted();
      await run();
    }
    rows.push(row as PromptRow);
  }
  return rows;
}

async function runPrompt(
  engine: Engine,
  prompt: BenchPrompt,
  variant: { readonly dense: boolean; readonly signal: AbortSignal | undefined },
): Promise<PrefillRun> {
  const options = { maxNewTokens: ANSWER_TOKENS, stop: { strings: ["."] }, ...variant };
  const generation = engine.generate({ ids: prompt.ids }, options);
  const text = await generation.text();
  const { timing, prefill, density } = generation.receipt!;
  return {
    found: answersNeedle(text, prompt),
    timeToFirstTokenMs: timing.timeToFirstTokenMs,
    attentionMs: prefill.attentionMs + prefill.estimateMs,
    estimateMs: prefill.estimateMs,
    projectionMs: prefill.projectionMs,
    computed: density.prefillComputed,
  };
}

/** `count` of 0..total-1, spread evenly; all if there are no more. */
export function spreadIndices(count: number, total: number): Set<number> {
  const taken = Math.min(count, total);
  return new Set(Array.from({ length: taken }, (_, i) => Math.floor(((i + 0.5) * total) / taken)));
}
