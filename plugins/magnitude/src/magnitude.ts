import { finiteWeights, patternOf, sparsifierFromScorer, type WeightSparsifier } from "@winnow/core";
import { globalMagnitude } from "./global.js";
import { type Cut, cutWeight, magnitudeBits, smallest } from "./magnitude-bits.js";
import type { MagnitudeOptions } from "./options.js";
import { roundHalfEven } from "./round.js";

/**
 * Magnitude pruning (arXiv 2306.03805, Section 3): the smallest |w| of each comparison group become 0, once, with no data. Kept weights keep their bits.
 * Ties: the lower index goes first. Cost: O(n) per matrix, O(n log M) and one copy for rows and groups.
 */
export function magnitude(options: MagnitudeOptions): WeightSparsifier {
  const { scope, sparsity, pattern } = options;
  if (pattern !== "unstructured" || scope === "row") {
    return sparsifierFromScorer({
      statistics: [],
      pattern: patternOf(options),
      score: (context) => finiteWeights(context, context.weight).map(Math.abs),
    });
  }
  if (scope === "global") return globalMagnitude(sparsity);
  const cutOf = scope === "layer" ? exactCut : thresholdCut;
  return {
    statistics: [],
    sparsify(context) {
      const bits = magnitudeBits(context);
      return cutWeight(context.weight, bits, cutOf(bits, sparsity));
    },
  };
}

function exactCut(bits: Uint32Array, sparsity: number): Cut {
  return smallest(bits, roundHalfEven(bits.length * sparsity));
}

/**
 * The baseline of the Wanda and SparseGPT repositories: everything up to element `floor(n * sparsity)` of the sorted magnitudes goes, ties included,
 * hence at least one weight more than the share. Where ties with the largest magnitude would empty the matrix, counts exactly instead.
 */
function thresholdCut(bits: Uint32Array, sparsity: number): Cut {
  if (sparsity === 0) return { bits: 0, ties: 0 };
  const rank = Math.min(Math.floor(bits.length * sparsity), bits.length - 1);
  const threshold = smallest(bits, rank + 1).bits;
  let tied = 0;
  let above = 0;
  for (let e = 0; e < bits.length; e++) {
    if (bits[e] === threshold) tied++;
    else if (bits[e] > threshold) above++;
  }
  return above === 0 && tied > 1 ? exactCut(bits, sparsity) : { bits: threshold, ties: tied };
}
