import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngine } from "@winnow/runtime";
import { resultOfChild } from "./child-output.js";
import { type Conditions, conditions } from "./conditions.js";
import { checkMethods } from "./known-methods.js";
import type { BenchHooks } from "./measure.js";
import type { PruneChildJob, PruneChildResult } from "./prune-child.js";
import {
  type LayerSizes,
  matrixKinds,
  type ProjectedRun,
  type Projection,
  type PrunedKind,
  projectPruning,
} from "./prune-projection.js";
import { vocabularyOf, writeSyntheticModel } from "./synthetic-model.js";

export interface PruneBenchOptions extends BenchHooks, LayerSizes {
  /** Calibration sequences of the longer runs; the shorter ones take 1. */
  readonly sequences: number;
  /** Tokens of each. */
  readonly length: number;
  readonly threads: number;
  /** Model folder whose tokenizer the made model takes. */
  readonly tokenizer: string;
  readonly projected: ProjectedRun;
  /** Some of {@link pruneMethods}. */
  readonly methods: readonly string[];
}

export interface PruneMethodRow {
  readonly method: string;
  readonly kinds: readonly PrunedKind[];
  /** Milliseconds of the calibration passes for one token through one layer; null: the runs differed by less than they vary. */
  readonly tokenMs: number | null;
  readonly projection: Projection;
}

export interface PruneBench extends LayerSizes {
  readonly bench: "prune";
  readonly conditions: Conditions;
  readonly sequences: number;
  readonly length: number;
  readonly projected: ProjectedRun;
  readonly rows: readonly PruneMethodRow[];
}

const withHessian: Readonly<Record<string, boolean>> = { wanda: false, sparsegpt: true };

/** Methods whose cost is measured; one with a Hessian takes minutes on matrices of a large model. */
export const pruneMethods: readonly string[] = Object.keys(withHessian);

/** Share of the progress bar of a method that its matrices take. */
const MATRICES = 0.5;

/**
 * What pruning costs: each kind of matrix through the plugin, with made statistics and in a process of its own, and a token through the calibration passes of
 * a layer; and from these, time and memory for a whole model.
 */
export async function benchPrune(options: PruneBenchOptions): Promise<PruneBench> {
  const { hiddenSize, intermediateSize, sequences, length, projected, threads, methods } = options;
  checkMethods(methods, pruneMethods);
  const folder = mkdtempSync(join(tmpdir(), "winnow-bench-"));
  try {
    options.onProgress?.(0, "making a model of two layers");
    writeTwoLayers(folder, options);
    const rows: PruneMethodRow[] = [];
    let isa = "";
    for (const method of methods) {
      const hooks = {
        ...(options.signal && { signal: options.signal }),
        onProgress: (share: number, label: string) =>
          options.onProgress?.((rows.length + share) / methods.length, `${method}: ${label}`),
      };
      const { kinds, startBytes, isa: used } = await pruneKinds(method, options, hooks);
      isa = used;
      const tokenSeconds = await calibrationSeconds(folder, method, options, hooks);
      const projection = projectPruning({ kinds, tokenSeconds, startBytes, hessian: withHessian[method] }, projected);
      rows.push({ method, kinds, tokenMs: tokenSeconds === null ? null : 1000 * tokenSeconds, projection });
    }
    const where = conditions({ threads, isa });
    return {
      bench: "prune",
      conditions: where,
      hiddenSize,
      intermediateSize,
      sequences,
      length,
      projected,
      rows,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeTwoLayers(folder: string, { hiddenSize, intermediateSize, tokenizer }: PruneBenchOptions): void {
  // Heads of 128 as models of this size have them.
  const heads = hiddenSize % 128 === 0 ? hiddenSize / 128 : 1;
  const vocabSize = vocabularyOf(tokenizer);
  const sizes = { hiddenSize, intermediateSize, queryHeads: heads, kvHeads: heads };
  writeSyntheticModel(folder, tokenizer, { layers: 2, vocabSize, ...sizes });
}

async function pruneKinds(
  method: string,
  { threads, ...sizes }: PruneBenchOptions,
  { signal, onProgress }: BenchHooks,
): Promise<{ kinds: PrunedKind[]; startBytes: number; isa: string }> {
  const kinds: PrunedKind[] = [];
  let last: PruneChildResult | undefined;
  const wanted = matrixKinds(sizes);
  for (const [index, kind] of wanted.entries()) {
    const { outFeatures, inFeatures } = kind;
    onProgress?.((MATRICES * index) / wanted.length, `${outFeatures}x${inFeatures}`);
    const job: PruneChildJob = { plugin: method, options: { sparsity: 0.5 }, outFeatures, inFeatures, threads };
    last = await resultOfChild<PruneChildResult>("./prune-child.js", job, signal);
    const { seconds, peakBytes, preparedBytes } = last;
    kinds.push({ ...kind, seconds, peakBytes, workBytes: Math.max(0, peakBytes - preparedBytes) });
  }
  const { startBytes, isa } = last!;
  return { kinds, startBytes, isa };
}

/**
 * Seconds that one more token takes in one more layer: statistics of the dense layer, then its output with the new weights. Pruning both layers runs the first
 * one twice and the last one once; pruning the first one alone runs it once. Differences leave out loading and the matrices themselves, which a sparsity of 0
 * leaves as they are; null where what is left is not above 0, because the time of the matrices varies by more.
 */
async function calibrationSeconds(
  model: string,
  method: string,
  { sequences, length, threads }: PruneBenchOptions,
  { signal, onProgress }: BenchHooks,
): Promise<number | null> {
  let done = 0;
  const run = async (layers: readonly number[], count: number): Promise<number> => {
    onProgress?.(
      MATRICES + ((1 - MATRICES) * done++) / 4,
      `calibration on ${count} sequences, ${layers.length} layers`,
    );
    const weights = [{ sparsifier: method, options: { sparsity: 0 }, layers: [...layers] }];
    const calibration = { sequences: count, length, cache: false };
    const started = performance.now();
    const config = { model, threads, weights, calibration, weightFormat: "dense" as const };
    const engine = await createEngine(config, { ...(signal && { signal }) });
    const seconds = (performance.now() - started) / 1000;
    await engine.close();
    return seconds;
  };
  const perToken = async (layers: readonly number[]) => {
    const short = await run(layers, 1);
    const long = await run(layers, sequences);
    return (long - short) / ((sequences - 1) * length);
  };
  const first = await perToken([0]);
  const both = await perToken([0, 1]);
  return both > first ? both - first : null;
}
