import {
  type Projection,
  projections,
  type WeightContext,
  type WeightSparsifier,
  type WeightSurvey,
  withoutWeights,
} from "@winnow/core";
import { densities } from "./densities.js";
import { keepBernoulli, keepExactly, keepInGroups } from "./draw.js";
import type { RandomPruningOptions } from "./options.js";
import { randomWords } from "./philox.js";

type Densities = Readonly<Record<string, number>>;

/**
 * Random pruning (arXiv 2202.02643): a random subset of each matrix stays, whatever its values are; kept weights keep their bits.
 * A mask depends on seed, layer and projection alone, not on the order in which matrices are pruned. Cost: O(n).
 */
export function randomPruning(options: RandomPruningOptions): WeightSparsifier {
  const { allocation, pattern, sparsity, seed } = options;
  const spread = pattern === "unstructured" && allocation !== "uniform";
  return {
    statistics: [],
    ...(spread && { survey: densitySurvey(options) }),
    sparsify(context) {
      const density = spread ? (context.survey as Densities)[keyOf(context)] : 1 - sparsity;
      context.report?.({ generator: "philox4x32-10", seed, ...(pattern === "unstructured" && { density }) });
      return withoutWeights(context.weight, randomMask(context, density, options));
    },
  };
}

/** 1 = kept, `[out, in]`. */
function randomMask(
  context: WeightContext,
  density: number,
  { pattern, count, seed }: RandomPruningOptions,
): Uint8Array {
  const { outFeatures, inFeatures } = context.weight;
  const stream = projections.indexOf(context.projection);
  const words = randomWords(outFeatures * inFeatures, seed, context.layer, stream);
  if (pattern !== "unstructured") return keepInGroups(words, inFeatures, pattern.keep, pattern.of);
  return count === "exact" ? keepExactly(words, Math.round(density * words.length)) : keepBernoulli(words, density);
}

interface Measured {
  /** Matrices with other options, by an override, share a budget of their own. */
  readonly budget: string;
  readonly shape: readonly [outFeatures: number, inFeatures: number];
}

/** Density of every matrix by the shapes of all. */
function densitySurvey(options: RandomPruningOptions): WeightSurvey {
  const budget = JSON.stringify([options.sparsity, options.allocation, options.erkPowerScale]);
  return {
    measure: ({ weight }): Measured => ({ budget, shape: [weight.outFeatures, weight.inFeatures] }),
    combine(matrices): Densities {
      const own = matrices.filter(({ value }) => (value as Measured).budget === budget);
      const shapes = own.map(({ value }) => (value as Measured).shape);
      const spread = densities(shapes, 1 - options.sparsity, options);
      return Object.fromEntries(own.map((matrix, m) => [keyOf(matrix), spread[m]]));
    },
  };
}

function keyOf({ layer, projection }: { readonly layer: number; readonly projection: Projection }): string {
  return `${layer}.${projection}`;
}
