import { type Band, lowerMask, type Mask, passesBand, type RangesMask, type VerticalSlashMask } from "@winnow/core";

/** Writes the kept keys of row i into `keys`, ascending within ranges and columns; returns how many. */
export type RowKeys = (i: number, keys: Int32Array) => number;

export function rowKeysOf(mask: Mask, n: number): RowKeys {
  return mask.form === "vertical-slash" && mask.exact ? wantedKeys(mask, n) : keysInRanges(lowerMask(mask, n));
}

function keysInRanges(mask: RangesMask): RowKeys {
  return (i, keys) => {
    const a = Math.floor(i / mask.blockSize);
    let count = 0;
    for (let r = mask.rangeOffsets[a]; r < mask.rangeOffsets[a + 1]; r++) {
      const bands = mask.bands.filter((_, t) => mask.rangeFlags[r] & (1 << t));
      const end = Math.min(mask.ranges[2 * r + 1], i + 1);
      for (let j = mask.ranges[2 * r]; j < end; j++) {
        if (passesAll(bands, i, j)) keys[count++] = j;
      }
    }
    for (let c = mask.columnOffsets[a]; c < mask.columnOffsets[a + 1] && mask.columns[c] <= i; c++) {
      keys[count++] = mask.columns[c];
    }
    return count;
  };
}

function passesAll(bands: readonly Band[], i: number, j: number): boolean {
  for (const band of bands) if (!passesBand(band, i, j)) return false;
  return true;
}

function wantedKeys(mask: VerticalSlashMask, n: number): RowKeys {
  const isColumn = new Uint8Array(n);
  const isSlash = new Uint8Array(n);
  for (const column of mask.columns) isColumn[column] = 1;
  for (const offset of mask.slashes) isSlash[offset] = 1;
  isSlash[0] = 1;
  return (i, keys) => {
    let count = 0;
    for (let j = 0; j <= i; j++) if (isColumn[j] || isSlash[i - j]) keys[count++] = j;
    return count;
  };
}
