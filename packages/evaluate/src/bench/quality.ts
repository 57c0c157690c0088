import { statSync } from "node:fs";
import { WinnowError } from "@winnow/core";
import { createEngine, createPlan, type Engine, type PipelineInput } from "@winnow/runtime";
import { answersNeedle } from "../needle/needle-prompt.js";
import { measurePerplexity } from "../perplexity/perplexity.js";
import type { BenchHooks } from "./measure.js";
import { ANSWER_TOKENS, type BenchPrompt, needlePrompts } from "./needles.js";
import type { QualityCell } from "./quality-cells.js";
import {
  QualityLog,
  type QualityPerplexity,
  type QualityResult,
  type QualitySettings,
  sparseOf,
} from "./quality-log.js";

export interface QualityBenchOptions extends QualitySettings, BenchHooks {
  readonly cells: readonly QualityCell[];
  /** `path=value` over the configuration of every cell. */
  readonly sets: readonly string[];
  /** CSV file that results are appended to as they come. */
  readonly csv?: string;
  /** Takes cells that `csv` holds already from there. */
  readonly resume: boolean;
  /** Takes each result when it is measured, with the seconds that the rest will take at the pace so far. */
  onResult?(result: QualityResult, done: number, secondsLeft: number): void;
}

export interface QualityBench extends QualitySettings {
  readonly bench: "quality";
  readonly results: readonly QualityResult[];
  /** Results that were taken from the file. */
  readonly resumed: number;
}

/**
 * Perplexity and needle retrieval of a model under methods that make its weights sparse, each cell in an engine that sparsifies the model when it loads. A cell
 * that fails is reported with its error and the others go on. Methods that choose for each token what to skip do so for all tokens of a scored window, and for
 * the decoded tokens of an answer; other tokens use the whole matrices.
 *
 * Errors: those of `createPlan` for the configuration that all cells share, `ERR_PROMPT` for a text that is no file, `ERR_OUTPUT_FILE` and `ERR_USAGE` for the file.
 */
export async function benchQuality(options: QualityBenchOptions): Promise<QualityBench> {
  const { model, texts, length, windows, needles, needleLength } = options;
  const settings: QualitySettings = { model, texts, length, windows, needles, needleLength };
  await createPlan({ model }, options);
  texts.forEach(checkText);
  const log = options.csv === undefined ? undefined : new QualityLog(options.csv, settings, options.resume);
  const held = new Map(options.cells.flatMap((cell) => asEntry(cell, log?.find(cell))));
  const run = new QualityRun(options, options.cells.length - held.size);
  const results: QualityResult[] = [];
  for (const cell of options.cells) {
    const result = held.get(cell) ?? (await run.measure(cell));
    results.push(result);
    if (held.has(cell)) continue;
    log?.add(result);
    run.report(result);
  }
  return { bench: "quality", ...settings, results, resumed: held.size };
}

/** Before hours of work, not after. */
function checkText(text: string | undefined): void {
  if (text === undefined || statSync(text, { throwIfNoEntry: false })?.isFile()) return;
  throw new WinnowError("ERR_PROMPT", `Cannot read the text "${text}": there is no such file. Give a text file.`);
}

function asEntry(cell: QualityCell, result: QualityResult | undefined): [QualityCell, QualityResult][] {
  return result ? [[cell, result]] : [];
}

class QualityRun {
  readonly #options: QualityBenchOptions;
  readonly #total: number;
  readonly #started = performance.now();
  #done = 0;
  #prompts: Promise<readonly BenchPrompt[]> | undefined;

  constructor(options: QualityBenchOptions, total: number) {
    this.#options = options;
    this.#total = total;
  }

  async measure(cell: QualityCell): Promise<QualityResult> {
    const { signal } = this.#options;
    const started = performance.now();
    const place = { method: cell.method, setting: cell.setting, sparse: sparseOf(cell) };
    const seconds = () => Math.round(performance.now() - started) / 1000;
    try {
      return { ...place, ...(await this.#numbersOf(cell)), seconds: seconds() };
    } catch (error) {
      signal?.throwIfAborted();
      const message = error instanceof Error ? error.message : String(error);
      return {
        ...place,
        ...{ perplexity: [], needlesFound: null, weightBytesRead: null, seconds: seconds(), error: message },
      };
    }
  }

  report(result: QualityResult): void {
    this.#done++;
    const perCell = (performance.now() - this.#started) / 1000 / this.#done;
    this.#options.onResult?.(result, this.#done, perCell * (this.#total - this.#done));
  }

  async #numbersOf(cell: QualityCell): Promise<Pick<QualityResult, "perplexity" | "needlesFound" | "weightBytesRead">> {
    const config: PipelineInput = { model: this.#options.model, weights: cell.weights, calibration: { cache: false } };
    const hooks = (from: number, to: number) => this.#hooks(cell, from, to);
    await using engine = await createEngine(config, { sets: this.#options.sets, ...hooks(0, 0.5) });
    const perplexity = await this.#perplexity(engine, cell, hooks(0.5, 0.75));
    return { perplexity, ...(await this.#needles(engine, hooks(0.75, 1))) };
  }

  async #perplexity(engine: Engine, cell: QualityCell, hooks: BenchHooks): Promise<QualityPerplexity[]> {
    const { texts, length, windows } = this.#options;
    const results: QualityPerplexity[] = [];
    for (const text of texts) {
      const settings = { length, windows, sparse: sparseOf(cell), context: 1, ...(text !== undefined && { text }) };
      const { perplexity, standardError } = await measurePerplexity(engine, settings, hooks);
      results.push({ perplexity, standardError });
    }
    return results;
  }

  async #needles(
    engine: Engine,
    { signal, onProgress }: BenchHooks,
  ): Promise<Pick<QualityResult, "needlesFound" | "weightBytesRead">> {
    const { needles: count, needleLength: length } = this.#options;
    if (count === 0) return { needlesFound: null, weightBytesRead: null };
    // The tokenizer is the same in every cell.
    this.#prompts ??= needlePrompts(engine, { count, length, ...(signal && { signal }) });
    let found = 0;
    let bytes = 0;
    let steps = 0;
    for (const [index, prompt] of (await this.#prompts).entries()) {
      onProgress?.(index / count, `needle ${index + 1} of ${count}`);
      const options = { maxNewTokens: ANSWER_TOKENS, stop: { strings: ["."] }, ...(signal && { signal }) };
      const generation = engine.generate({ ids: prompt.ids }, options);
      if (answersNeedle(await generation.text(), prompt)) found++;
      const { decode } = generation.receipt!;
      bytes += decode.weightBytesRead;
      steps += decode.tokens;
    }
    return { needlesFound: found, weightBytesRead: steps > 0 ? bytes / steps : null };
  }

  /** Progress of a part of a cell as progress of the whole. */
  #hooks({ method, setting }: QualityCell, from: number, to: number): BenchHooks {
    const { signal, onProgress } = this.#options;
    return {
      ...(signal && { signal }),
      onProgress: (share, label) =>
        onProgress?.((this.#done + from + share * (to - from)) / this.#total, `${method} ${setting}: ${label}`),
    };
  }
}
