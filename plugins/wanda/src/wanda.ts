import {
  finiteWeights,
  patternOf,
  sparsifierFromScorer,
  statisticOf,
  type WeightContext,
  type WeightSparsifier,
} from "@winnow/core";
import { cutByMass } from "./mass-cut.js";
import type { WandaOptions } from "./options.js";

/**
 * Wanda (arXiv 2306.11695, Section 3): in each row the weights with the smallest |w| * ||x_j|| become 0; kept weights keep their bits.
 * Ties: the lower index goes first. Cost: O(n) for unstructured and N:M, O(n log in) for the variant.
 */
export function wanda(options: WandaOptions): WeightSparsifier {
  if (options.variant) {
    return { statistics: ["norm"], sparsify: (context) => cutByMass(context, score(context), options.sparsity) };
  }
  return sparsifierFromScorer({ statistics: ["norm"], pattern: patternOf(options), score });
}

/**
 * Equation 1: S_ij = |W_ij| * ||X_j||_2, `[out, in]`, with the norm over all calibration tokens (the reference code divides it by sqrt(sequences),
 * which orders alike). A matrix that no input reached, such as an expert without tokens, is scored by |W_ij|.
 */
export function score(context: WeightContext): Float32Array {
  const norm = statisticOf(context, "norm");
  const reached = norm.some((value) => value !== 0);
  if (!reached) context.report?.({ score: "magnitude, for no input reached the matrix" });
  return finiteWeights(context, context.weight).map((w, e) => Math.abs(w) * (reached ? norm[e % norm.length] : 1));
}
