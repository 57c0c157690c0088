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
 * Pair (i, j) passes iff j < sinkTokens or i - j < recentTokens or i >= denseFromRow. The diagonal always passes.
 */
export interface Band {
  readonly sinkTokens: number;
  /** >= 1: a row always keeps itself. */
  readonly recentTokens: number;
  /** n or more: no dense strip. */
  readonly denseFromRow: number;
}

/** Pair (i, j) kept iff j <= i and it passes the band. Exact per token. */
export interface BandMask extends Band {
  readonly form: "band";
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
 * Vertical-slash: pair wanted iff j in `columns` or i - j in `slashes`. Offset 0 is always taken as present, so that a row keeps itself.
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
 * Canonical form. Query block a = rows [a * blockSize, min(n, (a + 1) * blockSize)); in lowered masks blockSize divides {@link QUERY_BLOCK}.
 * Its key ranges are `ranges[2r], ranges[2r + 1]` (start, end) for r in [rangeOffsets[a], rangeOffsets[a + 1]), ascending and disjoint
 * (two ranges may touch where their flags differ);
 * its single columns are `columns[c]` for c in [columnOffsets[a], columnOffsets[a + 1]), ascending, outside its ranges.
 *
 * Every cell is subject to the causal test. Bit t of `rangeFlags[r]` puts the cells of range r to the test of `bands[t]` as well;
 * a cell must pass all tests of its range. Flags 0: no test but the causal one.
 */
export interface RangesMask {
  readonly form: "ranges";
  readonly blockSize: number;
  readonly rangeOffsets: Int32Array;
  readonly ranges: Int32Array;
  readonly rangeFlags: Uint8Array;
  readonly columnOffsets: Int32Array;
  readonly columns: Int32Array;
  /** Row-exact tests for flagged ranges, at most {@link MAX_BANDS}. In lowered masks no value exceeds n. */
  readonly bands: readonly Band[];
}

/** Range flag of `bands[0]`, the only band of a mask that was lowered from one plugin's result; intersections may carry more. */
export const RANGE_BAND = 1;

/** Bits of a range flag. */
export const MAX_BANDS = 8;

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
