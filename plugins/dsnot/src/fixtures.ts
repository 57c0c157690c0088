import type {
  CalibrationStatistics,
  DenseWeight,
  Fixture,
  FixtureRunner,
  Operations,
  WeightContext,
} from "@winnow/core";
import { dsnot } from "./dsnot.js";
import { type DsnotOptions, options } from "./options.js";

export const fixtures: FixtureRunner = { kinds: ["dsnot"], run };

interface Params {
  readonly sequences: number;
  readonly tokens: number;
  readonly sparsity: number;
  /** `2:4` names what is pruned. */
  readonly pattern: string;
  readonly initial: DsnotOptions["initial"];
  readonly cycles?: number;
  readonly threshold?: number;
  readonly power?: number;
  readonly same_sign?: boolean;
  readonly in_mlp?: boolean;
}

function run({ params, tensors }: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const given = params as unknown as Params;
  const [outFeatures, inFeatures] = tensors.get("in.w")!.shape;
  const data = tensors.get("in.w")!.data as Float32Array;
  const weight: DenseWeight = { format: "dense", dtype: "f32", outFeatures, inFeatures, data };
  const statistics = statisticsOf(tensors.get("in.x")!.data as Float32Array, given.sequences, given.tokens);
  const context: WeightContext = {
    layer: 0,
    projection: given.in_mlp ? "up_proj" : "q_proj",
    weight,
    original: weight,
    statistics,
    dtype: "f32",
    operations,
  };
  const chosen = optionsOf(given);
  const kept = (changed: Partial<DsnotOptions>) => {
    const sparse = dsnot({ ...chosen, ...changed }).sparsify(context) as DenseWeight;
    return Uint8Array.from(sparse.data, (w) => Number(w !== 0));
  };
  return {
    "mid.sum": statistics.mean.map((mean) => mean * given.tokens),
    "mid.sum_sq": statistics.norm.map((norm) => norm ** 2 / given.sequences),
    "mid.var": statistics.withinVariance,
    "mid.keep_initial": kept({ skipSubLayer: context.projection }),
    "out.keep": kept({}),
  };
}

function optionsOf({ sparsity, pattern, initial, cycles, threshold, power, same_sign }: Params): DsnotOptions {
  const [pruned, of] = pattern.split(":").map(Number);
  return options.parse({
    sparsity,
    initial,
    pattern: pattern === "unstructured" ? pattern : { keep: of - pruned, of },
    maxCycles: cycles,
    updateThreshold: threshold,
    growVariancePower: power,
    sameSign: same_sign,
  });
}

type InputStatistics = CalibrationStatistics &
  Required<Pick<CalibrationStatistics, "mean" | "norm" | "variance" | "withinVariance">>;

/** Of inputs `[sequences, tokens, in]`, in float64. */
export function statisticsOf(x: Float32Array, sequences: number, tokens: number): InputStatistics {
  const rows = sequences * tokens;
  const width = x.length / rows;
  const column = (j: number) => Array.from({ length: rows }, (_, r) => x[r * width + j]);
  const each = (statistic: (values: number[]) => number) =>
    Float32Array.from({ length: width }, (_, j) => statistic(column(j)));
  return {
    tokens: rows,
    sequences,
    mean: each(meanOf),
    norm: each((values) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0))),
    variance: each(varianceOf),
    withinVariance: each((values) =>
      meanOf(Array.from({ length: sequences }, (_, n) => varianceOf(values.slice(n * tokens, (n + 1) * tokens)))),
    ),
  };
}

function meanOf(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function varianceOf(values: number[]): number {
  const mean = meanOf(values);
  return meanOf(values.map((value) => (value - mean) ** 2));
}
