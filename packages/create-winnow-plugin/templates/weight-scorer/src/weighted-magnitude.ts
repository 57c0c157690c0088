import { finiteWeights, statisticOf, type WeightScorer } from "@winnow/core";

/**
 * Scores weight (o, i) by |w| times the norm of input i over the calibration text. Winnow sets the lowest share `sparsity` of each row to zero and
 * keeps the bits of the others; of equal scores the lower index goes first. O(out * in).
 */
export function weightedMagnitude({ sparsity }: { readonly sparsity: number }): WeightScorer {
  return {
    statistics: ["norm"],
    pattern: { pattern: "row", sparsity },
    score(context) {
      const norm = statisticOf(context, "norm");
      return finiteWeights(context, context.weight).map((value, e) => Math.abs(value) * norm[e % norm.length]);
    },
  };
}
