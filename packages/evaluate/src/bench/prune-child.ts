import {
  type CalibrationStatistics,
  type InnerPlugins,
  sparsifierFromScorer,
  type WeightScorer,
  type WeightSparsifier,
  WinnowError,
} from "@winnow/core";
import { loadNative } from "@winnow/kernels-native";
import { PluginRegistry } from "@winnow/runtime";
import { childJob, printResult } from "./child-output.js";
import { randomWeight, repeatedUniform } from "./random-weight.js";
import type { WeightShape } from "./weight-budgets.js";

export interface PruneChildJob extends WeightShape {
  readonly plugin: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly threads: number;
}

export interface PruneChildResult {
  readonly seconds: number;
  /** Resident memory before anything was made, with weight and statistics, and at most. */
  readonly startBytes: number;
  readonly preparedBytes: number;
  readonly peakBytes: number;
  readonly isa: string;
}

/** Methods of this benchmark take no other plugins in their options. */
const noInnerPlugins: InnerPlugins = { masker: refuse, kvPruner: refuse, weightSparsifier: refuse };

const job = childJob<PruneChildJob>();
const startBytes = process.memoryUsage.rss();
const operations = loadNative({ threads: job.threads });
const sparsifier = await loadSparsifier(job);
const weight = randomWeight(job);
const statistics = syntheticStatistics(job.inFeatures, sparsifier);
const preparedBytes = process.memoryUsage.rss();
const started = performance.now();
sparsifier.sparsify({
  layer: 0,
  projection: "q_proj",
  weight,
  original: weight,
  statistics,
  dtype: "bf16",
  operations,
});
const seconds = (performance.now() - started) / 1000;
const peakBytes = 1024 * process.resourceUsage().maxRSS;
printResult({ seconds, startBytes, preparedBytes, peakBytes, isa: operations.isa } satisfies PruneChildResult);
operations.close();

async function loadSparsifier({ plugin, options }: PruneChildJob): Promise<WeightSparsifier> {
  const definition = await new PluginRegistry({ folder: process.cwd() }).load(plugin);
  const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: job.outFeatures, contextLength: 1 };
  const made = definition.create(definition.options.parse(options), model, noInnerPlugins);
  if (definition.kind === "weight-sparsifier") return made as WeightSparsifier;
  return sparsifierFromScorer(made as WeightScorer);
}

function refuse(): never {
  throw new WinnowError("ERR_USAGE", `Cannot measure plugin "${job.plugin}": it takes another plugin in its options.`);
}

/**
 * Norms in [0.5, 1.5), and the Hessian of inputs of that size that correlate by 0.3, which is positive definite without a sum over tokens: what an inversion takes
 * does not depend on the values.
 */
function syntheticStatistics(inFeatures: number, { statistics }: WeightSparsifier): CalibrationStatistics {
  const uniform = repeatedUniform(7);
  const norm = Float32Array.from({ length: inFeatures }, (_, j) => 0.5 + uniform(j));
  const hessian = statistics.includes("hessian") ? correlated(norm, 0.3) : undefined;
  return { tokens: inFeatures, sequences: 1, norm, ...(hessian && { hessian }) };
}

function correlated(norm: Float32Array, correlation: number): Float32Array {
  const hessian = new Float32Array(new SharedArrayBuffer(4 * norm.length ** 2));
  for (let a = 0, e = 0; a < norm.length; a++)
    for (let b = 0; b < norm.length; b++, e++) hessian[e] = norm[a] * norm[b] * (a === b ? 1 : correlation);
  return hessian;
}
