import type { RangesMask } from "./mask.js";
import { passesBand } from "./mask-predicate.js";

/** Keys that query `row` keeps under a lowered mask, ascending. O(size of the row's list). */
export function rowTokens(mask: RangesMask, row: number): Int32Array {
  const block = Math.floor(row / mask.blockSize);
  const tokens: number[] = [];
  for (let r = mask.rangeOffsets[block]; r < mask.rangeOffsets[block + 1]; r++) {
    const end = Math.min(mask.ranges[2 * r + 1], row + 1);
    for (let key = mask.ranges[2 * r]; key < end; key++)
      if (passesTests(mask, mask.rangeFlags[r], row, key)) tokens.push(key);
  }
  for (let c = mask.columnOffsets[block]; c < mask.columnOffsets[block + 1]; c++)
    if (mask.columns[c] <= row) tokens.push(mask.columns[c]);
  return Int32Array.from(tokens).sort();
}

function passesTests(mask: RangesMask, flags: number, row: number, key: number): boolean {
  return mask.bands.every((band, test) => !(flags & (1 << test)) || passesBand(band, row, key));
}
