import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PipelineInput, prune } from "@winnow/runtime";
import { resultOfChild } from "./child-output.js";
import { type Conditions, conditions } from "./conditions.js";
import type { DecodeChildJob, DecodeChildResult } from "./decode-weights-child.js";
import { type BenchHooks, type Rounds, ratioOf, roundOrder, type Spread, spreadOf } from "./measure.js";
import {
  type DecoderShape,
  decoderShape,
  parameterCount,
  vocabularyOf,
  writeSyntheticModel,
} from "./synthetic-model.js";

export interface DecodeWeightsOptions extends BenchHooks, Pick<Rounds, "repeat"> {
  /** Of the made model, roughly. */
  readonly parameters: number;
  /** Timed tokens of each run. */
  readonly tokens: number;
  readonly threads: number;
  /** Model folder whose tokenizer and vocabulary the made model takes. */
  readonly tokenizer: string;
}

export interface DecodeWeightsRow {
  readonly name: string;
  /** Median over the tokens of each run, one run a round. */
  readonly tokenMs: Spread;
  readonly tokensPerSecond: number;
  /** Time of dense / time of this, round by round. */
  readonly speedup: Spread;
  /** Of all matrices in one decode step. */
  readonly weightBytesRead: number;
  /** Bytes that dense reads / bytes that this reads. */
  readonly byteRatio: number;
  /** Of the whole process after the last token. */
  readonly residentBytes: Spread;
  /** From nothing to an engine that is ready; the file is in the system's cache. */
  readonly loadMs: Spread;
}

export interface DecodeWeightsBench {
  readonly bench: "decode-weights";
  readonly conditions: Conditions;
  readonly model: DecoderShape & { readonly parameters: number };
  readonly tokens: number;
  /** Dense first. */
  readonly rows: readonly DecodeWeightsRow[];
}

interface Variant {
  readonly name: string;
  /** Absent: the model as it was made. */
  readonly pruning?: Pick<PipelineInput, "weights" | "weightFormat">;
}

const wanda = { sparsifier: "wanda", options: { sparsity: 0.5 } };
const rSparse = { sparsifier: "r-sparse", options: { sparsity: 0.5, ratio: 0.95 } };

const variants: readonly Variant[] = [
  { name: "dense bf16" },
  { name: "Wanda 50 %, bitmap bf16", pruning: { weights: [wanda], weightFormat: "bitmap" } },
  { name: "dense int8", pruning: { weights: [], weightFormat: "int8" } },
  { name: "Wanda 50 %, bitmap int8", pruning: { weights: [wanda], weightFormat: "bitmap-int8" } },
  { name: "R-Sparse 50 %", pruning: { weights: [rSparse], weightFormat: "dense" } },
];

/** Random weights need no real statistics: only where zeros stand depends on them. */
const calibration = { sequences: 4, length: 64, cache: false };

const PROMPT_TOKENS = 16;

/** Share of the progress bar that making the models takes. */
const PREPARATION = 0.5;

/**
 * Decoding end to end with a made model of random weights that is too large for caches: dense, and with its matrices in sparse and 8-bit formats. Every
 * variant is written to a temporary folder in the compact format first; each run is a fresh process that loads it, so that memory holds nothing else.
 */
export async function benchDecodeWeights(options: DecodeWeightsOptions): Promise<DecodeWeightsBench> {
  const shape = decoderShape(options.parameters, vocabularyOf(options.tokenizer));
  const folder = mkdtempSync(join(tmpdir(), "winnow-bench-"));
  try {
    const models = await writeVariants(folder, shape, options);
    const runs = await runAll(models, options);
    const results = variants.map(({ name }) => rowOf(name, runs.get(name)!, runs.get(variants[0].name)!));
    const [{ isa }] = runs.get(variants[0].name)!;
    return {
      bench: "decode-weights",
      conditions: conditions({ threads: options.threads, isa }),
      model: { ...shape, parameters: parameterCount(shape) },
      tokens: options.tokens,
      rows: results,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writeVariants(
  folder: string,
  shape: DecoderShape,
  { tokenizer, threads, signal, onProgress }: DecodeWeightsOptions,
): Promise<ReadonlyMap<string, string>> {
  onProgress?.(0, "making the model");
  const dense = mkdtempSync(join(folder, "dense-"));
  writeSyntheticModel(dense, tokenizer, shape);
  const models = new Map<string, string>();
  for (const [index, { name, pruning }] of variants.entries()) {
    const out = join(folder, `variant-${index}`);
    models.set(name, pruning ? out : dense);
    if (!pruning) continue;
    const report = (share: number, label: string) =>
      onProgress?.((PREPARATION * (index + share)) / variants.length, `${name}: ${label}`);
    const config = { model: dense, threads, calibration, ...pruning };
    await prune(config, { out, form: "sparse", onProgress: report, ...(signal && { signal }) });
  }
  return models;
}

async function runAll(
  models: ReadonlyMap<string, string>,
  { repeat, threads, tokens, signal, onProgress }: DecodeWeightsOptions,
): Promise<ReadonlyMap<string, readonly DecodeChildResult[]>> {
  const results = new Map(variants.map(({ name }) => [name, [] as DecodeChildResult[]]));
  let done = 0;
  for (let round = 0; round < repeat; round++) {
    for (const { name } of roundOrder(variants, round)) {
      onProgress?.(
        PREPARATION + ((1 - PREPARATION) * done++) / (repeat * variants.length),
        `round ${round + 1}, ${name}`,
      );
      const job: DecodeChildJob = { model: models.get(name)!, threads, tokens, promptTokens: PROMPT_TOKENS };
      results.get(name)!.push(await resultOfChild<DecodeChildResult>("./decode-weights-child.js", job, signal));
    }
  }
  return results;
}

function rowOf(
  name: string,
  runs: readonly DecodeChildResult[],
  dense: readonly DecodeChildResult[],
): DecodeWeightsRow {
  const tokenMs = spreadOf(runs.map((run) => run.tokenMs));
  const denseMs = spreadOf(dense.map((run) => run.tokenMs));
  const [{ weightBytesRead }] = runs;
  return {
    name,
    tokenMs,
    tokensPerSecond: 1000 / tokenMs.median,
    speedup: ratioOf(denseMs, tokenMs),
    weightBytesRead,
    byteRatio: dense[0].weightBytesRead / weightBytesRead,
    residentBytes: spreadOf(runs.map((run) => run.residentBytes)),
    loadMs: spreadOf(runs.map((run) => run.loadMs)),
  };
}
