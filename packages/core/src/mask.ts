/**
 * Attention support of one query head in prefill. Rows are queries 0..n-1 and columns keys 0..n-1 of the same sequence;
 * every form is causal (key <= query) whatever else it says.
 *
 * Compact forms stay compact as far as a kernel understands them; {@link lowerMask} turns any of them into `ranges`, the canonical form.
 */
export type Mask = DenseMask | BandMask | BlockMask | VerticalSlashMask | RangesMask;

export type MaskForm = Mask["form"];

/** Plain causal attention. */
export interface DenseMask {
  readonly form: "dense";
}

/**
 * Pair (i, j) kept iff j <= i and (j < sinkTokens or i - j < recentTokens or i >= denseFromRow). Exact per token.
 * `denseFromRow = n` (or more) means no dense strip.
 */
export interface BandMask {
  readonly form: "band";
  readonly sinkTokens: number;
  /** >= 1: a row always keeps itself. */
  readonly recentTokens: number;
  readonly denseFromRow: number;
}

/**
 * Block bitmap: bit (a, b) says that query block a attends to key block b.
 * `bits` holds one byte per cell, row-major `[ceil(n / B), ceil(n / B)]`, 1 = kept. Cells above the block diagonal must be 0.
 */
export interface BlockMask {
  readonly form: "blocks";
  readonly blockSize: number;
  readonly bits: Uint8Array;
}

/**
 * Vertical-slash: pair wanted iff j in `columns` or i - j in `slashes`.
 * `columns` ascending key indices, `slashes` descending offsets (query - key), both without repeats.
 * `exact: false` computes the 64 x 64 cover of MInference (a superset, see `lowerMask`); `exact: true` computes the wanted pairs only
 * (for checks: no kernel is fast on it).
 */
export interface VerticalSlashMask {
  readonly form: "vertical-slash";
  readonly columns: Int32Array;
  readonly slashes: Int32Array;
  readonly exact: boolean;
}

/**
 * Canonical form. Query block a = rows [a * blockSize, min(n, (a + 1) * blockSize)).
 * Its key ranges are `ranges[2r], ranges[2r + 1]` (start, end) for r in [rangeOffsets[a], rangeOffsets[a + 1]), ascending and disjoint;
 * its single columns are `columns[c]` for c in [columnOffsets[a], columnOffsets[a + 1]), ascending, outside its ranges.
 * Every cell is subject to the causal test; `rangeFlags[r] & RANGE_BAND` puts the cells of range r to the test of `band` as well.
 */
export interface RangesMask {
  readonly form: "ranges";
  readonly blockSize: number;
  readonly rangeOffsets: Int32Array;
  readonly ranges: Int32Array;
  readonly rangeFlags: Uint8Array;
  readonly columnOffsets: Int32Array;
  readonly columns: Int32Array;
  /** Row-exact test for flagged ranges, as in {@link BandMask}. */
  readonly band?: { readonly sinkTokens: number; readonly recentTokens: number; readonly denseFromRow: number };
}

/** Range flag: cells of this range are kept only where `band` keeps them. */
export const RANGE_BAND = 1;

/** Rows per query block of lowered masks and of the attention kernels. */
export const QUERY_BLOCK = 64;

export const denseMask: DenseMask = { form: "dense" };

export function bandMask(band: { sinkTokens: number; recentTokens: number; denseFromRow?: number }): BandMask {
  return {
    form: "band",
    sinkTokens: band.sinkTokens,
    recentTokens: band.recentTokens,
    denseFromRow: band.denseFromRow ?? Number.MAX_SAFE_INTEGER,
  };
}
