import type { Projection, SurveyedMatrix, WeightSparsifier, WeightSurvey } from "@winnow/core";
import { type Cut, countHigh, countLow, cutWeight, locate, magnitudeBits, magnitudeOf } from "./magnitude-bits.js";
import { roundHalfEven } from "./round.js";

/** After the first pass: the bin that the cut falls into, and how many of its weights go. */
interface Bin {
  readonly high: number;
  readonly removed: number;
}

/** After the second pass: the pattern at the cut, and how many ties each matrix gives. */
interface GlobalCut {
  readonly bits: number;
  readonly ties: Readonly<Record<string, number>>;
}

/** Of one pass over a matrix. */
interface Counted {
  /** Matrices with another sparsity, by an override, are pruned among themselves. */
  readonly sparsity: number;
  readonly counts: Uint32Array;
}

/**
 * The `round(sparsity * total)` smallest weights of all matrices together go; of equal ones, those of earlier matrices, then of lower index.
 * Two passes over the weights by counting, exact for float32 too. Memory: up to 256 KiB a matrix while surveying.
 * After another sparsifier, it is the magnitudes of the original weights that compete, for those are what is surveyed.
 */
export function globalMagnitude(sparsity: number): WeightSparsifier {
  return {
    statistics: [],
    survey: globalSurvey(sparsity),
    sparsify(context) {
      const { bits, ties } = context.survey as GlobalCut;
      const cut: Cut = { bits, ties: ties[keyOf(context)] };
      context.report?.({ threshold: magnitudeOf(bits) });
      return cutWeight(context.weight, magnitudeBits({ ...context, weight: context.original }), cut);
    },
  };
}

function globalSurvey(sparsity: number): WeightSurvey {
  return {
    passes: 2,
    measure(context): Counted {
      const bits = magnitudeBits(context);
      return { sparsity, counts: context.survey ? countLow(bits, (context.survey as Bin).high) : countHigh(bits) };
    },
    combine(matrices, previous) {
      const own = matrices.filter(({ value }) => (value as Counted).sparsity === sparsity);
      return previous ? cutOf(own, previous as Bin) : binOf(own, sparsity);
    },
  };
}

function binOf(matrices: readonly SurveyedMatrix[], sparsity: number): Bin {
  const counts = summed(matrices);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const removed = roundHalfEven(sparsity * total);
  const { bin, before } = locate(counts, removed - 1);
  return { high: bin, removed: removed - before };
}

function cutOf(matrices: readonly SurveyedMatrix[], { high, removed }: Bin): GlobalCut {
  const { bin, before } = locate(summed(matrices), removed - 1);
  const ties: Record<string, number> = {};
  let left = removed - before;
  for (const matrix of matrices) {
    ties[keyOf(matrix)] = Math.min(left, (matrix.value as Counted).counts[bin]);
    left -= ties[keyOf(matrix)];
  }
  return { bits: high * 65536 + bin, ties };
}

/** In float64: a large model has more weights than an Uint32 counts. */
function summed(matrices: readonly SurveyedMatrix[]): Float64Array {
  const sums = new Float64Array(1 << 16);
  for (const { value } of matrices) {
    const { counts } = value as Counted;
    for (let bin = 0; bin < counts.length; bin++) sums[bin] += counts[bin];
  }
  return sums;
}

function keyOf({ layer, projection }: { readonly layer: number; readonly projection: Projection }): string {
  return `${layer}.${projection}`;
}
