import {
  channelsWeight,
  type DenseWeight,
  floatValues,
  type LinearWeight,
  type Operations,
  type StatisticName,
  sparsifierFromScorer,
  type WeightContext,
  type WeightScorer,
  type WeightSparsifier,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { conformanceChecks } from "./checks.js";
import { sampleSmallest, sampleWindow } from "./sample-plugins.js";
import { type AnyPlugin, changed, describeMutants, describeSound, type Mutant } from "./testing/mutants.js";

const common = conformanceChecks(sampleWindow)
  .map(({ id }) => id)
  .slice(0, 7);

/** {@link sampleSmallest} as a sparsifier. */
const sound: AnyPlugin = {
  ...sampleSmallest,
  kind: "weight-sparsifier",
  create: (...args) => sparsifierFromScorer(sampleSmallest.create(...args) as WeightScorer),
};

/** A dense result whose values are changed by `change`. */
const values = (change: (all: Float32Array, context: WeightContext) => void, statistics: StatisticName[] = []) =>
  changed(sound, () => ({
    statistics,
    sparsify(context: WeightContext): LinearWeight {
      const data = floatValues(context.weight).slice();
      change(data, context);
      return { ...context.weight, dtype: "f32", data };
    },
  }));

/** Every weight times a factor that belongs to its row. */
const byRow = (factorOf: (row: Float32Array) => number) =>
  values((all, { weight }) => {
    for (let start = 0; start < all.length; start += weight.inFeatures) {
      const row = all.subarray(start, start + weight.inFeatures);
      const factor = factorOf(row.slice());
      for (let i = 0; i < row.length; i++) row[i] *= factor;
    }
  });

const result = (make: (weight: DenseWeight, context: WeightContext) => unknown) =>
  changed(sound, () => ({ sparsify: (context: WeightContext) => make(context.weight, context) }));

/** Brings a bias and says so. */
function withBias(value: number): AnyPlugin {
  return changed(sound, (made) => ({
    changesBias: true,
    sparsify: (context: WeightContext) => ({
      ...(made as WeightSparsifier).sparsify(context),
      bias: new Float32Array(context.weight.outFeatures).fill(value),
    }),
  }));
}

const mutants: Mutant[] = [
  [
    "result-valid",
    "brings a bias of NaN",
    withBias(Number.NaN),
    /a bias of 64 finite numbers for q_proj .*; got another/,
  ],
  [
    "statistics-known",
    "reads norms",
    changed(sound, () => ({ statistics: ["norms"] })),
    /statistics to be some of norm, .*; got "norms"/,
  ],
  [
    "statistics-suffice",
    "reads a Hessian that it does not declare",
    values((all, { statistics }) => all.fill(statistics.hessian![0])),
    /sparsify to return a weight .*; got the error/,
  ],
  [
    "statistics-suffice",
    "does better where there happens to be a mean",
    values((all, { statistics }) => all.fill(statistics.mean ? 2 : 1)),
    /whether or not there are statistics that are not declared; got 1 instead of 2 at \(0, 0\) of q_proj/,
  ],
  [
    "result-valid",
    "turns the matrix",
    result((weight) => ({ ...weight, outFeatures: weight.inFeatures })),
    /of the size of q_proj .*; got 24 x 24/,
  ],
  [
    "result-valid",
    "loses the bias",
    result(({ bias, ...weight }) => weight),
    /the bias of q_proj of layer 0 .* to stay; got none/,
  ],
  [
    "result-valid",
    "leaves a row out",
    result((weight) => ({ ...weight, data: weight.data.slice(1) })),
    /1536 numbers for q_proj .*; got 1535/,
  ],
  [
    "result-valid",
    "returns infinity",
    values((all) => all.fill(Number.POSITIVE_INFINITY, 25, 26)),
    /finite numbers for q_proj .*; got Infinity at \(1, 1\)/,
  ],
  [
    "result-valid",
    "returns an unknown format",
    result((weight) => ({ ...weight, format: "sparse" })),
    /a weight of a known format/,
  ],
  [
    "result-runs",
    "selects more channels than there are",
    result((weight) => channelsWeight(weight, "f32", { rule: "threshold", thresholds: new Float32Array(3) })),
    /a weight .*q_proj of layer 0 .*; got the error/,
  ],
  [
    "dtypes",
    "calls float32 numbers bf16",
    result((weight) => ({ ...weight, data: floatValues(weight).slice() })),
    /data of type bf16 for q_proj .*; got Float32Array/,
  ],
  [
    "one-by-one",
    "compares with the second weight of a row",
    byRow((row) => row[1] / row[1]),
    /finite numbers .*\(1 x 1\); got NaN/,
  ],
  [
    "three-by-five",
    "needs rows of whole quads",
    byRow((row) => (row.length % 4 > 1 || row.length === 1 ? 1 : row[4 * Math.ceil(row.length / 4) - 1] / 1)),
    /finite numbers .*\(3 x 5\); got NaN/,
  ],
  [
    "dead-inputs",
    "divides by the norm of an input",
    values((all, { statistics }) => all.set([all[0] / statistics.norm![0]]), ["norm"]),
    /finite numbers for q_proj .*; got -?Infinity at \(0, 0\)/,
  ],
  [
    "constant-inputs",
    "divides by the variance of an input",
    values((all, { statistics }) => all.set([all[0] / statistics.variance![0]]), ["variance"]),
    /finite numbers for q_proj .*; got -?Infinity at \(0, 0\)/,
  ],
  [
    "zero-rows",
    "divides by the norm of a row",
    byRow((row) => 1 / Math.hypot(...row)),
    /finite numbers for q_proj .*; got NaN at \(0, 0\)/,
  ],
  [
    "equal-weights",
    "divides by the spread of a row",
    byRow((row) => 1 / (Math.max(...row) - Math.min(...row) || (row.length > 1 && row[0] ? 0 : 1))),
    /finite numbers for q_proj .*; got Infinity/,
  ],
  [
    "nan-refused",
    "takes NaN for zero",
    values((all) =>
      all.forEach((value, e) => {
        all[e] = value > 0.3 ? value : 0;
      }),
    ),
    /an error for NaN in the weights of q_proj/,
  ],
  [
    "nan-refused",
    "throws an error that is not one of Winnow",
    values((all) => {
      if (all.some(Number.isNaN)) throw new TypeError("bad");
    }),
    /a WinnowError for NaN in the weights of q_proj .*; got .*bad/,
  ],
  [
    "inputs-unchanged",
    "sorts the weights in place",
    result((weight) => ({ ...weight, data: weight.data.sort() })),
    /"weight" of q_proj .* to stay as it was; got other numbers/,
  ],
  [
    "survey",
    "measures a function",
    changed(sound, () => ({ survey: { measure: () => () => 1, combine: () => 1 } })),
    /survey.measure to return plain data, .*; got the error/,
  ],
  [
    "survey",
    "measures half a time",
    changed(sound, () => ({ survey: { passes: 0.5, measure: () => 1, combine: () => 1 } })),
    /a whole number of passes >= 1; got 0.5/,
  ],
  [
    "repeats",
    "counts its calls",
    changed(sound, () => {
      let calls = 0;
      return { sparsify: ({ weight }: WeightContext) => ({ ...weight, data: weight.data.map(() => calls++) }) };
    }),
    /the same result from a second call; got \d+ instead of \d+ at \(0, 0\) of q_proj/,
  ],
  [
    "any-order",
    "goes on from the matrix before",
    changed(sound, () => {
      let last = 0;
      return {
        sparsify({ weight }: WeightContext): LinearWeight {
          const data = floatValues(weight).slice();
          [data[0], last] = [last, data[0]];
          return { ...weight, data };
        },
      };
    }),
    /the same results when the matrices come in reverse order; got/,
  ],
  [
    "kernels-agree",
    "looks at the number of threads",
    values((all, { operations }) => all.fill((operations as unknown as { threads: number }).threads)),
    /the same result with 2 threads as with 1 threads; got 2 instead of 1/,
    {
      kernels: async () =>
        [1, 2].map((threads) => {
          const operations = { ...createReference(), threads } as Operations;
          return { name: `${threads} threads`, family: "threaded", operations };
        }),
    },
  ],
  [
    "kernels-agree",
    "keeps the last bits of sums",
    values(
      (all, { operations, statistics, weight }) => {
        const gram = new Float32Array(weight.inFeatures ** 2);
        operations.accumulateGram(statistics.inputs!, 48, weight.inFeatures, gram);
        const bits = new Uint32Array(gram.buffer);
        all.forEach((_, e) => {
          all[e] = bits[e % bits.length] & 7;
        });
      },
      ["inputs"],
    ),
    /the same result, but for near ties, .* % other weights/,
  ],
  [
    "oracle",
    "keeps other weights than its oracle",
    sound,
    /the oracle's choice for q_proj of layer 0 .*; got weight \(0, \d+\) removed/,
    { oracle: (({ weight }: WeightContext) => new Uint8Array(weight.data.length).fill(1)) as never },
  ],
];

describeSound(sound);
describeSound(withBias(0.5));
describeMutants("checks of weight sparsifiers", sound, mutants, common);

let reads = 0;
const restless = {
  pattern: "row",
  get sparsity() {
    return reads++ === 0 ? 0.25 : 0.5;
  },
};

const scorer = (change: (made: WeightScorer) => object) => changed(sampleSmallest, change);

describeSound(sampleSmallest);
describeMutants(
  "checks of weight scorers",
  sampleSmallest,
  [
    [
      "weight-scores",
      "scores inputs, not weights",
      scorer(() => ({ score: ({ statistics }: WeightContext) => statistics.norm! })),
      /1536 scores for q_proj .*; got 24/,
    ],
    [
      "weight-scores",
      "scores NaN",
      scorer(({ score }) => ({ score: (context: WeightContext) => score(context).fill(Number.NaN, 3, 4) })),
      /numbers as scores of q_proj .*; got NaN/,
    ],
    [
      "zero-count",
      "changes its pattern",
      scorer(() => ({ pattern: restless })),
      /zeros in row 0, columns 0 on, of q_proj .*; got/,
    ],
    [
      "kept-bits",
      "scales the weights while it scores them",
      scorer(({ score }) => ({
        score(context: WeightContext) {
          const scores = score(context);
          context.weight.data.forEach((value, e, data) => {
            data[e] = 2 * value;
          });
          return scores;
        },
      })),
      /kept weights of q_proj .* to stay as they were; got .* turned into/,
    ],
  ],
  conformanceChecks(sound).map(({ id }) => id),
);
