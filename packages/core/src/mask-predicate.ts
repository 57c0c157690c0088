import { type Band, type Mask, QUERY_BLOCK, type RangesMask, type VerticalSlashMask } from "./mask.js";

/**
 * Whether a kernel computes pair (query i, key j) under a mask over n tokens: the literal definition of each form, for tests and reference kernels.
 * A vertical-slash mask with `exact: false` keeps the pairs of its 64 x 64 cover. O(size of the row's list) per call.
 */
export function keeps(mask: Mask, i: number, j: number, n: number): boolean {
  if (j < 0 || j > i || i >= n) return false;
  switch (mask.form) {
    case "dense":
      return true;
    case "band":
      return passesBand(mask, i, j);
    case "blocks": {
      const blocks = Math.ceil(n / mask.blockSize);
      return mask.bits[Math.floor(i / mask.blockSize) * blocks + Math.floor(j / mask.blockSize)] === 1;
    }
    case "vertical-slash":
      return mask.exact ? wantsPair(mask, i, j) : mask.columns.includes(j) || coversPair(mask, i, j);
    case "ranges":
      return inRanges(mask, i, j);
  }
}

/** Row test of a band; the causal test is separate. */
export function passesBand(band: Band, i: number, j: number): boolean {
  return j < band.sinkTokens || i - j < band.recentTokens || i >= band.denseFromRow;
}

function wantsPair(mask: VerticalSlashMask, i: number, j: number): boolean {
  return i === j || mask.columns.includes(j) || mask.slashes.includes(i - j);
}

/** Slashes from left to right; each covers 64 keys, or extends the range before it by 64 where it begins inside or right at its end. */
function coversPair(mask: VerticalSlashMask, i: number, j: number): boolean {
  const end = (Math.floor(i / QUERY_BLOCK) + 1) * QUERY_BLOCK;
  let rangeStart = 0;
  let rangeEnd = Number.NEGATIVE_INFINITY;
  for (const offset of [...mask.slashes, 0]) {
    if (offset >= end) continue;
    const edge = Math.max(end - offset, QUERY_BLOCK);
    if (edge > rangeEnd + QUERY_BLOCK) {
      rangeStart = edge - QUERY_BLOCK;
      rangeEnd = edge;
    } else if (edge > rangeEnd) {
      rangeEnd += QUERY_BLOCK;
    }
    if (j >= rangeStart && j < rangeEnd) return true;
  }
  return false;
}

function inRanges(mask: RangesMask, i: number, j: number): boolean {
  const a = Math.floor(i / mask.blockSize);
  for (let r = mask.rangeOffsets[a]; r < mask.rangeOffsets[a + 1]; r++) {
    const inside = j >= mask.ranges[2 * r] && j < mask.ranges[2 * r + 1];
    if (inside) return mask.bands.every((band, t) => !(mask.rangeFlags[r] & (1 << t)) || passesBand(band, i, j));
  }
  return mask.columns.subarray(mask.columnOffsets[a], mask.columnOffsets[a + 1]).includes(j);
}
