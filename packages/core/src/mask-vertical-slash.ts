import { QUERY_BLOCK } from "./mask.js";
import { Int32Buffer } from "./mask-builder.js";

/** Key ranges and columns per query block, ranges not yet cut at the diagonal. Layout as in `RangesMask`. */
export interface VerticalSlashCover {
  readonly rangeOffsets: Int32Array;
  readonly ranges: Int32Array;
  readonly columnOffsets: Int32Array;
  readonly columns: Int32Array;
}

/**
 * MInference's conversion of columns and slashes to key ranges and columns, per query block of `blockSize` rows.
 *
 * Within rows [start, end), a slash of offset o covers the keys [e - blockSize, e), e = max(end - o, blockSize). Ranges are token-aligned and a
 * multiple of `blockSize` wide: a slash that reaches beyond the current range by at most one block extends it by a whole block, even where
 * they overlap. Columns inside a range are dropped; the others are all < start.
 *
 * Source: arXiv 2407.02490, appendix C.4, and `convert_vertical_slash_indexes_kernel` of the reference code. Deviation: offset 0 is always taken as present
 * (the reference reads past its arrays without it), so that a row always keeps itself.
 *
 * Cost O((columns + slashes) * n / blockSize).
 */
export function coverVerticalSlash(
  columns: Int32Array,
  slashes: Int32Array,
  n: number,
  blockSize: number,
): VerticalSlashCover {
  const offsets = withOffsetZero(slashes);
  const rangeOffsets = new Int32Buffer();
  const ranges = new Int32Buffer();
  const columnOffsets = new Int32Buffer();
  const singles = new Int32Buffer();
  rangeOffsets.push(0);
  columnOffsets.push(0);
  for (let end = blockSize; end < n + blockSize; end += blockSize) {
    coverRowBlock(columns, offsets, end, blockSize, ranges, singles);
    rangeOffsets.push(ranges.length / 2);
    columnOffsets.push(singles.length);
  }
  return {
    rangeOffsets: rangeOffsets.toArray(),
    ranges: ranges.toArray(),
    columnOffsets: columnOffsets.toArray(),
    columns: singles.toArray(),
  };
}

function coverRowBlock(
  columns: Int32Array,
  offsets: Int32Array,
  end: number,
  blockSize: number,
  ranges: Int32Buffer,
  singles: Int32Buffer,
): void {
  let nextColumn = 0;
  // Slashes left of key 0 in the whole row block; offset 0 stops the loop.
  let nextSlash = firstAtMost(offsets, end - 1);
  while (nextSlash < offsets.length) {
    const right = Math.max(end - offsets[nextSlash++], blockSize);
    const rangeStart = right - blockSize;
    let rangeEnd = right;
    for (; nextSlash < offsets.length; nextSlash++) {
      const edge = end - offsets[nextSlash];
      if (edge > rangeEnd + blockSize) break;
      if (edge > rangeEnd) rangeEnd += blockSize;
    }
    for (; nextColumn < columns.length && columns[nextColumn] < rangeEnd; nextColumn++) {
      if (columns[nextColumn] < rangeStart) singles.push(columns[nextColumn]);
    }
    ranges.push(rangeStart);
    ranges.push(rangeEnd);
  }
}

/** Index of the first element <= limit of a descending array. */
function firstAtMost(descending: Int32Array, limit: number): number {
  let low = 0;
  let high = descending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (descending[middle] > limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Descending offsets, 0 among them. */
function withOffsetZero(slashes: Int32Array): Int32Array {
  if (slashes.at(-1) === 0) return slashes;
  const offsets = new Int32Array(slashes.length + 1);
  offsets.set(slashes);
  return offsets;
}

/** What the reference's converter returns, without its padding: list a stands at [starts[a], starts[a + 1]). */
export interface VerticalSlashBlocks {
  readonly blockStarts: Int32Array;
  /** First key of each key block of `blockSize` keys, ascending per query block. */
  readonly blockOffset: Int32Array;
  readonly columnStarts: Int32Array;
  /** Single keys, ascending per query block, outside its key blocks. */
  readonly columnIndex: Int32Array;
}

/**
 * `coverVerticalSlash` in the reference's layout: token offsets of key blocks, which may overrun the diagonal and n by less than a block.
 * `columns` ascending key indices, `slashes` descending offsets (query - key).
 */
export function verticalSlashBlocks(
  columns: Int32Array,
  slashes: Int32Array,
  n: number,
  blockSize: number = QUERY_BLOCK,
): VerticalSlashBlocks {
  const cover = coverVerticalSlash(columns, slashes, n, blockSize);
  const blockOffset = new Int32Buffer();
  const blockStarts = new Int32Array(cover.rangeOffsets.length);
  for (let a = 0; a + 1 < cover.rangeOffsets.length; a++) {
    for (let r = cover.rangeOffsets[a]; r < cover.rangeOffsets[a + 1]; r++) {
      for (let key = cover.ranges[2 * r]; key < cover.ranges[2 * r + 1]; key += blockSize) blockOffset.push(key);
    }
    blockStarts[a + 1] = blockOffset.length;
  }
  return {
    blockStarts,
    blockOffset: blockOffset.toArray(),
    columnStarts: cover.columnOffsets,
    columnIndex: cover.columns,
  };
}
