import { z } from "zod";
import { WinnowError } from "./errors.js";
import type { DenseWeight } from "./linear-weight.js";
import type { Primitives } from "./operations.js";
import { option } from "./options.js";
import type { FloatData } from "./tensor.js";
import type { SparsityPattern, WeightScorer, WeightSparsifier } from "./weight-sparsifier.js";

/** The options `sparsity` and `pattern` that pruners of weights share. */
export const sparsityOptions = {
  sparsity: option(z.number().min(0).max(1).default(0.5), {
    description:
      "Share of the weights that become zero; raising it saves more memory and time and costs quality. Unused with an N:M pattern.",
    unit: "fraction",
    symbol: "s",
  }),
  pattern: option(
    z
      .union([
        z.literal("unstructured"),
        z
          .strictObject({
            keep: z.int().min(1),
            of: z.union([z.literal(2), z.literal(4), z.literal(8), z.literal(16)]),
          })
          .refine(({ keep, of }) => keep <= of, "must keep at most as many as there are"),
      ])
      .default("unstructured"),
    {
      description:
        "unstructured: any weights. { keep: 2, of: 4 }: of each 4 neighbours along a row 2 stay, which needs no bitmap and costs more quality.",
      symbol: "N:M",
    },
  ),
};

export interface SparsityOptions {
  readonly sparsity: number;
  readonly pattern: "unstructured" | { readonly keep: number; readonly of: number };
}

/** The pattern that {@link sparsityOptions} ask for; without N:M, weights compete within `group`. */
export function patternOf({ sparsity, pattern }: SparsityOptions, group: "row" | "matrix" = "row"): SparsityPattern {
  return pattern === "unstructured" ? { pattern: group, sparsity } : { pattern: "groups", ...pattern };
}

/** A sparsifier that removes the weights that a scorer scores lowest; kept weights keep their bits. */
export function sparsifierFromScorer(scorer: WeightScorer): WeightSparsifier {
  return {
    statistics: scorer.statistics,
    sparsify(context) {
      const { weight, operations } = context;
      const { outFeatures, inFeatures } = weight;
      return withoutWeights(
        weight,
        keepByScore(scorer.score(context), outFeatures, inFeatures, scorer.pattern, operations),
      );
    },
  };
}

/** A copy with zeros where `kept` is 0. */
export function withoutWeights(weight: DenseWeight, kept: Uint8Array): DenseWeight {
  const data = weight.data.slice() as FloatData;
  for (let e = 0; e < kept.length; e++) if (kept[e] === 0) data[e] = 0;
  return { ...weight, data };
}

/** Values of a dense weight as float32; the same array if they are float32 already. */
export function floatValues({ data }: DenseWeight): Float32Array {
  if (data instanceof Float32Array) return data;
  const bits = new Uint32Array(data.length);
  for (let e = 0; e < data.length; e++) bits[e] = data[e] << 16;
  return new Float32Array(bits.buffer);
}

/**
 * Which weights stay: `[out, in]`, 1 = kept. The lowest scores go; of equal scores the lower index goes first
 * (the stable ascending sort of the reference implementations). O(out * in * log in).
 */
export function keepByScore(
  scores: Float32Array,
  outFeatures: number,
  inFeatures: number,
  pattern: SparsityPattern,
  primitives: Pick<Primitives, "topK">,
): Uint8Array {
  checkScores(scores, outFeatures, inFeatures);
  const kept = new Uint8Array(scores.length).fill(1);
  if (pattern.pattern === "groups") {
    for (let row = 0; row < scores.length; row += inFeatures)
      for (let start = 0; start < inFeatures; start += pattern.of)
        removeLowest(scores, kept, row + start, row + Math.min(start + pattern.of, inFeatures), pattern.keep);
    return kept;
  }
  const length = pattern.pattern === "row" ? inFeatures : scores.length;
  const removed = Math.floor(length * pattern.sparsity);
  if (removed === 0) return kept;
  for (let start = 0; start < scores.length; start += length) {
    const negated = scores.subarray(start, start + length).map((score) => -score);
    for (const index of primitives.topK(negated, removed)) kept[start + index] = 0;
  }
  return kept;
}

/** Groups are small and many: finding the lowest one by one is far cheaper than a selection for each. */
function removeLowest(scores: Float32Array, kept: Uint8Array, start: number, end: number, keep: number): void {
  for (let left = end - start; left > keep; left--) {
    let lowest = -1;
    for (let e = start; e < end; e++) if (kept[e] !== 0 && (lowest < 0 || scores[e] < scores[lowest])) lowest = e;
    kept[lowest] = 0;
  }
}

function checkScores(scores: unknown, outFeatures: number, inFeatures: number): void {
  const fail = (given: string) =>
    new WinnowError(
      "ERR_PLUGIN_RESULT",
      `Weight scores must hold ${outFeatures} x ${inFeatures} numbers, got ${given}.`,
    );
  if (!(scores instanceof Float32Array)) throw fail(`${typeof scores}, not a Float32Array`);
  if (scores.length !== outFeatures * inFeatures) throw fail(`${scores.length}`);
  const bad = scores.findIndex(Number.isNaN);
  if (bad >= 0) throw fail(`NaN at (${Math.floor(bad / inFeatures)}, ${bad % inFeatures})`);
}
