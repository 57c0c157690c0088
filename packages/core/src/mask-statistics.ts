import type { Band, Mask, RangesMask, VerticalSlashMask } from "./mask.js";
import { lowerMask } from "./mask-lowering.js";

/** How much a mask keeps. Counts are exact up to 2^53. */
export interface MaskStatistics {
  /** Pairs (i, j) that are kept. */
  readonly keptPairs: number;
  /** n (n + 1) / 2. */
  readonly causalPairs: number;
  /** keptPairs / causalPairs, in (0, 1]. */
  readonly density: number;
}

/**
 * Kept pairs of a valid mask over n tokens, counted without visiting them: O(size of the lowered mask), plus O(64) per range with a row test.
 * An exact vertical-slash mask costs O(n * columns).
 */
export function maskStatistics(mask: Mask, n: number): MaskStatistics {
  const exactVerticalSlash = mask.form === "vertical-slash" && mask.exact;
  const keptPairs = exactVerticalSlash ? countWantedPairs(mask, n) : countRanges(lowerMask(mask, n), n);
  const causalPairs = (n * (n + 1)) / 2;
  return { keptPairs, causalPairs, density: keptPairs / causalPairs };
}

function countRanges(mask: RangesMask, n: number): number {
  const testsOf = bandsByFlags(mask.bands);
  let kept = 0;
  for (let a = 0; a * mask.blockSize < n; a++) {
    const firstRow = a * mask.blockSize;
    const rowEnd = Math.min(n, firstRow + mask.blockSize);
    for (let r = mask.rangeOffsets[a]; r < mask.rangeOffsets[a + 1]; r++) {
      const start = mask.ranges[2 * r];
      const end = mask.ranges[2 * r + 1];
      const flags = mask.rangeFlags[r];
      kept +=
        flags === 0
          ? countCausal(firstRow, rowEnd, start) - countCausal(firstRow, rowEnd, end)
          : countTested(testsOf[flags], firstRow, rowEnd, start, end);
    }
    for (let c = mask.columnOffsets[a]; c < mask.columnOffsets[a + 1]; c++) {
      kept += Math.max(0, rowEnd - Math.max(firstRow, mask.columns[c]));
    }
  }
  return kept;
}

/** Pairs (i, j) with firstRow <= i < rowEnd and key <= j <= i. */
function countCausal(firstRow: number, rowEnd: number, key: number): number {
  const first = Math.max(firstRow, key);
  const rows = rowEnd - first;
  return rows > 0 ? (rows * (first - key + 1 + rowEnd - key)) / 2 : 0;
}

function countTested(bands: readonly Band[], firstRow: number, rowEnd: number, start: number, end: number): number {
  let kept = 0;
  for (let i = Math.max(firstRow, start); i < rowEnd; i++) kept += countInBands(bands, i, start, Math.min(end, i + 1));
  return kept;
}

/**
 * Keys j in [start, end), end <= i + 1, that pass every band in row i. Each band leaves one gap, from its sinks to its window.
 * `bands` must be ascending in sinkTokens, so that the gaps come from left to right.
 */
export function countInBands(bands: readonly Band[], i: number, start: number, end: number): number {
  let kept = 0;
  let key = start;
  for (const band of bands) {
    const gapEnd = i >= band.denseFromRow ? 0 : i - band.recentTokens + 1;
    if (gapEnd <= band.sinkTokens || gapEnd <= key) continue;
    kept += Math.max(0, Math.min(band.sinkTokens, end) - key);
    key = gapEnd;
  }
  return kept + Math.max(0, end - key);
}

/** For each range flag, the bands that it names, ascending in sinkTokens. */
export function bandsByFlags(bands: readonly Band[]): Band[][] {
  return Array.from({ length: 1 << bands.length }, (_, flags) =>
    bands.filter((_, t) => flags & (1 << t)).sort((a, b) => a.sinkTokens - b.sinkTokens),
  );
}

function countWantedPairs(mask: VerticalSlashMask, n: number): number {
  const isSlash = new Uint8Array(n);
  for (const offset of mask.slashes) isSlash[offset] = 1;
  isSlash[0] = 1;
  let kept = 0;
  let slashes = 0;
  for (let i = 0; i < n; i++) {
    slashes += isSlash[i];
    kept += slashes;
    for (let c = 0; c < mask.columns.length && mask.columns[c] <= i; c++) kept += 1 - isSlash[i - mask.columns[c]];
  }
  return kept;
}
