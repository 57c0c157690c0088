import { WinnowError } from "./errors.js";
import {
  type Band,
  type BandMask,
  type BlockMask,
  type Mask,
  QUERY_BLOCK,
  RANGE_BAND,
  type RangesMask,
  type VerticalSlashMask,
} from "./mask.js";
import { RangesBuilder } from "./mask-builder.js";
import { coverVerticalSlash } from "./mask-vertical-slash.js";

/**
 * Canonical form of a mask over n tokens; the mask must be valid ({@link validateMask}).
 *
 * Query blocks have {@link QUERY_BLOCK} rows; where the rows of such a block would need different key lists (`blocks` and `ranges` masks whose
 * block size is not a multiple of it), they have gcd(blockSize, QUERY_BLOCK) rows. That costs one list per row for an odd block size.
 *
 * All forms lower exactly, except that a vertical-slash mask becomes MInference's 64 x 64 cover, a superset (`coverVerticalSlash`).
 * Ranges end at the last row of their query block or before.
 *
 * Throws ERR_KERNEL_UNSUPPORTED for an exact vertical-slash mask, which has no compact canonical form; use {@link keeps}.
 * Cost O(size of the result), for vertical-slash O((columns + slashes) * n / 64).
 */
export function lowerMask(mask: Mask, n: number): RangesMask {
  switch (mask.form) {
    case "dense":
      return lowerBand({ sinkTokens: 0, recentTokens: n, denseFromRow: n }, n);
    case "band":
      return lowerBand(clampBand(mask, n), n);
    case "blocks":
      return lowerBlocks(mask, n);
    case "vertical-slash":
      return lowerVerticalSlash(mask, n);
    case "ranges":
      return lowerRanges(mask, n);
  }
}

function clampBand(band: BandMask, n: number): Band {
  return {
    sinkTokens: Math.min(band.sinkTokens, n),
    recentTokens: Math.min(band.recentTokens, n),
    denseFromRow: Math.min(band.denseFromRow, n),
  };
}

function lowerBand(band: Band, n: number): RangesMask {
  const builder = new RangesBuilder(QUERY_BLOCK, band.recentTokens < n ? [band] : []);
  for (let start = 0; start < n; start += QUERY_BLOCK) {
    const end = Math.min(n, start + QUERY_BLOCK);
    const hasDenseRow = end > band.denseFromRow;
    const sinkEnd = Math.min(band.sinkTokens, end);
    // From anyRow on, some row of the block keeps the key; from everyRow on, each row does.
    const anyRow = hasDenseRow ? 0 : Math.max(0, start - band.recentTokens + 1);
    const everyRow = start >= band.denseFromRow ? 0 : Math.max(0, end - band.recentTokens);
    builder.range(0, sinkEnd);
    builder.range(Math.max(anyRow, sinkEnd), everyRow, RANGE_BAND);
    builder.range(Math.max(everyRow, sinkEnd), end);
    builder.endBlock();
  }
  return builder.finish();
}

function lowerBlocks(mask: BlockMask, n: number): RangesMask {
  const { blockSize, bits } = mask;
  const blocks = Math.ceil(n / blockSize);
  const rows = queryBlockOf(blockSize);
  const builder = new RangesBuilder(rows);
  for (let start = 0; start < n; start += rows) {
    const end = Math.min(n, start + rows);
    const blockRow = Math.floor(start / blockSize);
    for (let b = 0; b <= blockRow; b++) {
      if (bits[blockRow * blocks + b]) builder.range(b * blockSize, Math.min((b + 1) * blockSize, end));
    }
    builder.endBlock();
  }
  return builder.finish();
}

function lowerVerticalSlash(mask: VerticalSlashMask, n: number): RangesMask {
  if (mask.exact) {
    throw new WinnowError(
      "ERR_KERNEL_UNSUPPORTED",
      "Cannot lower a vertical-slash mask with exact: true: its pairs form no key ranges. Set exact: false for the 64 x 64 cover, or run kernels-reference.",
    );
  }
  const cover = coverVerticalSlash(mask.columns, mask.slashes, n, QUERY_BLOCK);
  for (let a = 0; a + 1 < cover.rangeOffsets.length; a++) {
    const last = 2 * cover.rangeOffsets[a + 1] - 1;
    cover.ranges[last] = Math.min(cover.ranges[last], (a + 1) * QUERY_BLOCK, n);
  }
  return {
    form: "ranges",
    blockSize: QUERY_BLOCK,
    ...cover,
    rangeFlags: new Uint8Array(cover.ranges.length / 2),
    bands: [],
  };
}

function lowerRanges(mask: RangesMask, n: number): RangesMask {
  const rows = queryBlockOf(mask.blockSize);
  if (rows === mask.blockSize) return mask;
  const builder = new RangesBuilder(rows, mask.bands);
  for (let start = 0; start < n; start += rows) {
    const end = Math.min(n, start + rows);
    const a = Math.floor(start / mask.blockSize);
    for (let r = mask.rangeOffsets[a]; r < mask.rangeOffsets[a + 1]; r++) {
      builder.range(mask.ranges[2 * r], Math.min(mask.ranges[2 * r + 1], end), mask.rangeFlags[r]);
    }
    for (let c = mask.columnOffsets[a]; c < mask.columnOffsets[a + 1]; c++) {
      if (mask.columns[c] < end) builder.column(mask.columns[c]);
    }
    builder.endBlock();
  }
  return builder.finish();
}

/** Rows per lowered query block, so that all rows of one share a block row of `blockSize`. */
export function queryBlockOf(blockSize: number): number {
  return greatestCommonDivisor(blockSize, QUERY_BLOCK);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
