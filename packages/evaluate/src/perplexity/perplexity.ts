import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { WinnowError } from "@winnow/core";
import type { Engine, PerplexitySettings, RunHooks, ScoreOptions, ScoreResult } from "@winnow/runtime";
import { defaultHaystack } from "../needle/haystack.js";
import { type Window, windowsOf } from "./windows.js";

export interface PerplexityResult {
  /** exp of `crossEntropy`; `"inf"` where that overflows. */
  readonly perplexity: number | "inf";
  /** Mean over windows of the mean negative log-likelihood of their scored tokens, in nats. */
  readonly crossEntropy: number;
  /** Standard error of `crossEntropy` over windows; null with one window. */
  readonly standardError: number | null;
  readonly windows: number;
  readonly text: { readonly name: string; readonly sha256: string; readonly tokens: number };
  readonly settings: PerplexitySettings & { readonly dense: boolean };
  /** Kept and computed share of attention over the prefilled tokens. */
  readonly attention: { readonly kept: number; readonly computed: number };
  /** Tokens read / tokens cached in decode steps; null without any. */
  readonly decodeRead: number | null;
  /** Bytes of the matrices read in a decode step, mean; null without any. */
  readonly weightBytesPerStep: number | null;
}

export interface PerplexityHooks extends RunHooks {
  readonly dense?: boolean;
}

/**
 * Perplexity as the tables of pruning papers take it: the whole text is tokenised at once, cut into windows of `length` tokens, and each window is run on its
 * own; see {@link windowsOf}. Windows are spread over the engine's workers; the result does not depend on their number.
 *
 * Which tokens of a window use weights that choose what to skip is `settings.sparse`: `none`, the last `tenth` (R-Sparse), the last `half` (TEAL),
 * `all` (CATS), or `decode`: all tokens after the first `context` ones are fed one at a time, which is exact and slow, and also runs the KV pruners.
 * Errors: `ERR_PROMPT` for a text that cannot be read or is shorter than a window.
 */
export async function measurePerplexity(
  engine: Engine,
  settings: PerplexitySettings,
  hooks: PerplexityHooks = {},
): Promise<PerplexityResult> {
  const { dense = false, ...runHooks } = hooks;
  const file = settings.text ?? fileURLToPath(defaultHaystack);
  const content = await readText(file);
  const ids = await engine.encode(content, runHooks.signal ? { signal: runHooks.signal } : {});
  const { length, stride, windows: limit } = settings;
  const windows = windowsOf(ids.length, length, stride, limit);
  const scores = await scoreWindows(engine, ids, windows, settings, dense, runHooks);
  const means = scores.map(({ losses }, index) => mean(losses.slice(-windows[index].scored)));
  const crossEntropy = mean(means);
  const perplexity = Math.exp(crossEntropy);
  return {
    perplexity: Number.isFinite(perplexity) ? perplexity : "inf",
    crossEntropy,
    standardError: standardErrorOf(means),
    windows: windows.length,
    text: { name: basename(file), sha256: createHash("sha256").update(content).digest("hex"), tokens: ids.length },
    settings: { ...settings, dense },
    ...costs(scores),
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new WinnowError(
      "ERR_PROMPT",
      `Cannot read the text "${file}": ${(cause as Error).message}. Give a text file.`,
      { cause },
    );
  }
}

async function scoreWindows(
  engine: Engine,
  ids: Int32Array,
  windows: readonly Window[],
  settings: PerplexitySettings,
  dense: boolean,
  { signal, onProgress }: RunHooks,
): Promise<ScoreResult[]> {
  const results: ScoreResult[] = new Array(windows.length);
  let next = 0;
  let done = 0;
  const drain = async () => {
    for (let index = next++; index < windows.length; index = next++) {
      const { start, end } = windows[index];
      const options = { ...scoreOptions(settings, end - start), dense, ...(signal && { signal }) };
      results[index] = await engine.score(ids.slice(start, end), options);
      onProgress?.(++done / windows.length, `window ${done} of ${windows.length}`);
    }
  };
  await Promise.all(Array.from({ length: engine.plan.workers }, drain));
  return results;
}

function scoreOptions({ sparse, context }: PerplexitySettings, tokens: number): ScoreOptions {
  if (sparse === "decode") return { prefilled: Math.min(context, tokens - 1) };
  const share = { none: 0, tenth: 0.1, half: 0.5, all: 1 }[sparse];
  return { sparseTokens: tokens - Math.floor(tokens * (1 - share)) };
}

function costs(
  scores: readonly ScoreResult[],
): Pick<PerplexityResult, "attention" | "decodeRead" | "weightBytesPerStep"> {
  const prefills = scores.flatMap(({ prefill }) => prefill.layers);
  const decodes = scores.flatMap(({ decode }) => decode.layers);
  const steps = sum(scores.map(({ decode }) => decode.tokens));
  const densities = prefills.flatMap(({ groups }) => groups.flatMap(({ density }) => density));
  return {
    attention: {
      kept: mean(densities),
      computed: sum(prefills.map((layer) => layer.cellsComputed)) / sum(prefills.map((layer) => layer.causalCells)),
    },
    decodeRead:
      steps > 0
        ? sum(decodes.map(({ tokensRead }) => tokensRead)) / sum(decodes.map(({ tokensCached }) => tokensCached))
        : null,
    weightBytesPerStep: steps > 0 ? sum(scores.map(({ decode }) => decode.weightBytesRead)) / steps : null,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: ArrayLike<number>): number {
  return sum(Array.from(values)) / values.length;
}

function standardErrorOf(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  const variance = sum(values.map((value) => (value - centre) ** 2)) / (values.length - 1);
  return Math.sqrt(variance / values.length);
}
