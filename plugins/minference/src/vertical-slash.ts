import { kvHeadOf, type MaskerContext, type Primitives, sliceTokens } from "@winnow/core";

/** What the estimates of one head read. */
export type EstimateContext = Pick<MaskerContext, "model" | "q" | "k" | "scale" | "primitives">;

/** Buffers of one estimate, used again for every head of a plan. */
export interface Scratch {
  /** `[L, n]`. */
  readonly weights: Float32Array;
  readonly vertical: Float32Array;
  readonly slash: Float32Array;
}

export function createScratch(n: number, lastQueries: number): Scratch {
  return {
    weights: new Float32Array(Math.min(lastQueries, n) * n),
    vertical: new Float32Array(n),
    slash: new Float32Array(n),
  };
}

/** Attention of the last queries, summed along columns (`vertical`, by key) and diagonals (`slash`, by query - key); `[n]` each. */
export type LineScores = Pick<Scratch, "vertical" | "slash">;

/**
 * Estimate of section 3.3, Algorithm 2, lines 1 to 5: A = softmax(Q[-L:] K^T / sqrt(d) + causal), then its sums along columns and diagonals.
 * The sums are not normalised by the number of rows that see a column, as in the reference. Overwrites and returns `scratch`. O(L n d).
 */
export function estimateLines(context: EstimateContext, head: number, scratch: Scratch): LineScores {
  const { model, q, k, scale, primitives } = context;
  const n = q.length;
  const rows = scratch.weights.length / n;
  const lastQueries = sliceTokens(q, n - rows, n);
  const kvHead = kvHeadOf(head, model);
  primitives.scores({ q: lastQueries, k, head, kvHead, scale, causalOffset: n - rows }, scratch.weights);
  primitives.softmaxRows(scratch.weights, rows, n);
  primitives.columnSums(scratch.weights, rows, n, scratch.vertical);
  primitives.diagonalSums(scratch.weights, rows, n, scratch.slash);
  return scratch;
}

/** Columns (ascending) and offsets query - key (descending) of one head. */
export interface Lines {
  readonly columns: Int32Array;
  readonly slashes: Int32Array;
}

/**
 * Algorithm 2, lines 6 and 7: the v best columns and the s best offsets. The first `sinkTokens` columns and the first `recentTokens` offsets
 * rank before all others (reference code); ties: lower index. `scores` is overwritten at the forced places. O(n).
 */
export function selectLines(
  { vertical, slash }: LineScores,
  sizes: { readonly v: number; readonly s: number },
  forced: { readonly sinkTokens: number; readonly recentTokens: number },
  primitives: Pick<Primitives, "topK">,
): Lines {
  vertical.fill(Number.POSITIVE_INFINITY, 0, forced.sinkTokens);
  slash.fill(Number.POSITIVE_INFINITY, 0, forced.recentTokens);
  return { columns: primitives.topK(vertical, sizes.v), slashes: primitives.topK(slash, sizes.s).reverse() };
}
