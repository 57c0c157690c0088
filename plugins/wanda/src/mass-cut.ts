import { type DenseWeight, type WeightContext, withoutWeights } from "@winnow/core";

/** Largest deviation of the sparsity, and smallest interval of the search; both as in the reference code. */
const TOLERANCE = 0.001;
/** Where the reference code's search starts, and its upper end. */
const START = 0.4;
const UPPER = 0.8;

interface Row {
  /** The row's scores, ascending. */
  readonly sorted: Float32Array;
  /** Sums of the first i + 1 of them. */
  readonly cumulative: Float64Array;
}

/**
 * The variant of the reference code: of each row go the scores up to the last sorted one whose cumulative sum is at most alpha * (sum of the row);
 * alpha is searched by bisection. A target beyond what alpha = 0.8 gives, the reference's upper end, is searched for in [0.8, 1].
 */
export function cutByMass(
  { weight, report }: Pick<WeightContext, "weight" | "report">,
  scores: Float32Array,
  sparsity: number,
): DenseWeight {
  if (sparsity === 0 || sparsity === 1) return withoutWeights(weight, new Uint8Array(scores.length).fill(1 - sparsity));
  const rows = Array.from({ length: weight.outFeatures }, (_, o) => rowOf(scores, o, weight.inFeatures));
  const shareAt = (alpha: number) =>
    rows.reduce((sum, row) => sum + countUpTo(row.sorted, limitOf(row, alpha)), 0) / scores.length;
  const alpha = searchAlpha(shareAt, sparsity);
  report?.({ alpha });
  const limits = rows.map((row) => limitOf(row, alpha));
  const kept = new Uint8Array(scores.length);
  for (let e = 0; e < kept.length; e++) kept[e] = Number(scores[e] > limits[Math.floor(e / weight.inFeatures)]);
  return withoutWeights(weight, kept);
}

function searchAlpha(shareAt: (alpha: number) => number, sparsity: number): number {
  return sparsity > shareAt(UPPER) + TOLERANCE
    ? bisect(shareAt, sparsity, (UPPER + 1) / 2, UPPER, 1)
    : bisect(shareAt, sparsity, START, 0, UPPER);
}

function bisect(shareAt: (alpha: number) => number, sparsity: number, start: number, from: number, to: number): number {
  let [alpha, low, high] = [start, from, to];
  for (;;) {
    const share = shareAt(alpha);
    if (Math.abs(share - sparsity) <= TOLERANCE || high - low < TOLERANCE) return alpha;
    if (share > sparsity) high = alpha;
    else low = alpha;
    alpha = (low + high) / 2;
  }
}

function rowOf(scores: Float32Array, o: number, inFeatures: number): Row {
  const sorted = scores.slice(o * inFeatures, (o + 1) * inFeatures).sort();
  const cumulative = new Float64Array(inFeatures);
  let sum = 0;
  for (let i = 0; i < inFeatures; i++) cumulative[i] = sum += sorted[i];
  return { sorted, cumulative };
}

/** The largest score that goes at this alpha; -1 where none does (the reference code fails there). */
function limitOf({ sorted, cumulative }: Row, alpha: number): number {
  const count = countUpTo(cumulative, alpha * cumulative[cumulative.length - 1]);
  return count === 0 ? -1 : sorted[count - 1];
}

/** Entries of an ascending list that are at most `limit`. */
function countUpTo(ascending: ArrayLike<number>, limit: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
