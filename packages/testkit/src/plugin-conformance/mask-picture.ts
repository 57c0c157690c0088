import { keeps, lowerMask, type Mask, rowTokens } from "@winnow/core";

/** Pairs that a mask keeps, `[n, n]`, 1 = kept, as kernels see it: lowered, except for exact vertical-slash masks, which have no lowered form. */
export function maskPicture(mask: Mask, n: number): Uint8Array {
  const picture = new Uint8Array(n * n);
  if (mask.form === "vertical-slash" && mask.exact) {
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) picture[i * n + j] = keeps(mask, i, j, n) ? 1 : 0;
    return picture;
  }
  const lowered = lowerMask(mask, n);
  for (let i = 0; i < n; i++) for (const j of rowTokens(lowered, i)) picture[i * n + j] = 1;
  return picture;
}

/** The first row without a key, or undefined. */
export function emptyRow(picture: Uint8Array, n: number): number | undefined {
  for (let i = 0; i < n; i++) if (!picture.subarray(i * n, i * n + i + 1).includes(1)) return i;
  return undefined;
}

/** What in a mask names a key after its query, in words, or undefined. Looks at what the plugin wrote: kernels would cut it off silently. */
export function futureKey(mask: Mask, n: number): string | undefined {
  if (mask.form === "blocks") return futureBlock(mask.bits, Math.ceil(n / mask.blockSize));
  if (mask.form === "vertical-slash") {
    const negative = mask.slashes.find((offset) => offset < 0);
    return negative === undefined ? undefined : `slash ${negative}, which lies above the diagonal`;
  }
  if (mask.form !== "ranges") return undefined;
  for (let a = 0; a * mask.blockSize < n; a++) {
    const rowEnd = Math.min(n, (a + 1) * mask.blockSize);
    const starts = mask.ranges.subarray(2 * mask.rangeOffsets[a], 2 * mask.rangeOffsets[a + 1]);
    const columns = mask.columns.subarray(mask.columnOffsets[a], mask.columnOffsets[a + 1]);
    const late = [...starts.filter((_, at) => at % 2 === 0), ...columns].find((key) => key >= rowEnd);
    if (late !== undefined) return `key ${late} for the rows before ${rowEnd}`;
  }
  return undefined;
}

function futureBlock(bits: Uint8Array, blocks: number): string | undefined {
  for (let a = 0; a < blocks; a++)
    for (let b = a + 1; b < blocks; b++)
      if (bits[a * blocks + b]) return `key block ${b} for query block ${a}, which lies above the diagonal`;
  return undefined;
}

/** Where two lists of pictures differ first, in words, or undefined. */
export function pictureDifference(
  actual: readonly Uint8Array[],
  expected: readonly Uint8Array[],
  n: number,
  firstHead = 0,
): string | undefined {
  for (const [head, picture] of actual.entries()) {
    const at = picture.findIndex((bit, e) => bit !== expected[head][e]);
    if (at < 0) continue;
    const pair = `pair (query ${Math.floor(at / n)}, key ${at % n}) of head ${firstHead + head}`;
    return `${pair}, which is ${picture[at] ? "kept" : "left out"} there`;
  }
  return undefined;
}
