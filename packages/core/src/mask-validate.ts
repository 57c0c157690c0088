import { WinnowError } from "./errors.js";
import { type Band, type BlockMask, MAX_BANDS, type Mask, type RangesMask, type VerticalSlashMask } from "./mask.js";
import { bandsByFlags, countInBands } from "./mask-statistics.js";

/**
 * Checks that a mask over n tokens is well formed and that every row keeps at least one key.
 * Throws ERR_PLUGIN_RESULT with the row block and the value that is wrong. O(size of the mask).
 */
export function validateMask(mask: Mask, n: number): void {
  if (typeof mask !== "object" || mask === null) refuse(`it must be an object, got ${mask}`);
  if (mask.form === "dense") return;
  if (mask.form === "band") checkBand(mask, "band");
  else if (mask.form === "blocks") checkBlocks(mask, n);
  else if (mask.form === "vertical-slash") checkVerticalSlash(mask, n);
  else if (mask.form === "ranges") checkRanges(mask, n);
  else {
    const form = JSON.stringify((mask as { form: unknown }).form);
    refuse(`form must be dense, band, blocks, vertical-slash or ranges, got ${form}`);
  }
}

function refuse(what: string): never {
  throw new WinnowError("ERR_PLUGIN_RESULT", `Cannot use mask: ${what}.`);
}

function checkInteger(name: string, value: unknown, minimum: number): void {
  if (!Number.isInteger(value) || (value as number) < minimum)
    refuse(`${name} must be an integer >= ${minimum}, got ${value}`);
}

function checkType(name: string, value: unknown, type: typeof Int32Array | typeof Uint8Array): void {
  if (!(value instanceof type)) refuse(`${name} must be ${type === Int32Array ? "an Int32Array" : "a Uint8Array"}`);
}

function checkLength(name: string, array: { length: number }, expected: number): void {
  if (array.length !== expected) refuse(`${name} must have ${expected} elements, got ${array.length}`);
}

function checkBand(band: Band, name: string): void {
  checkInteger(`${name}.sinkTokens`, band.sinkTokens, 0);
  checkInteger(`${name}.recentTokens`, band.recentTokens, 1);
  checkInteger(`${name}.denseFromRow`, band.denseFromRow, 0);
}

function checkBlocks(mask: BlockMask, n: number): void {
  checkInteger("blockSize", mask.blockSize, 1);
  checkType("bits", mask.bits, Uint8Array);
  const blocks = Math.ceil(n / mask.blockSize);
  checkLength("bits", mask.bits, blocks * blocks);
  for (let a = 0; a < blocks; a++) {
    let keptBlocks = 0;
    for (let b = 0; b < blocks; b++) {
      const bit = mask.bits[a * blocks + b];
      if (bit > 1) refuse(`row block ${a}, key block ${b}: a bit must be 0 or 1, got ${bit}`);
      if (bit === 1 && b > a) refuse(`row block ${a} keeps key block ${b}, which lies above the diagonal`);
      keptBlocks += bit;
    }
    if (keptBlocks === 0) refuse(`row block ${a} keeps no key block, so its rows have nothing to attend to`);
  }
}

function checkVerticalSlash(mask: VerticalSlashMask, n: number): void {
  checkType("columns", mask.columns, Int32Array);
  checkType("slashes", mask.slashes, Int32Array);
  if (typeof mask.exact !== "boolean") refuse(`exact must be true or false, got ${mask.exact}`);
  checkElements("columns", mask.columns, n, 1);
  checkElements("slashes", mask.slashes, n, -1);
}

/** All in [0, n) and strictly ascending (`direction` 1) or descending (-1). */
function checkElements(name: string, values: Int32Array, n: number, direction: 1 | -1): void {
  const order = direction === 1 ? "ascending" : "descending";
  for (let x = 0; x < values.length; x++) {
    if (values[x] < 0 || values[x] >= n) refuse(`${name}[${x}] must be in 0..${n - 1}, got ${values[x]}`);
    if (x > 0 && (values[x] - values[x - 1]) * direction <= 0) {
      refuse(`${name} must be ${order} without repeats, but ${name}[${x}] = ${values[x]} follows ${values[x - 1]}`);
    }
  }
}

function checkRanges(mask: RangesMask, n: number): void {
  checkInteger("blockSize", mask.blockSize, 1);
  for (const name of ["rangeOffsets", "ranges", "columnOffsets", "columns"] as const) {
    checkType(name, mask[name], Int32Array);
  }
  checkType("rangeFlags", mask.rangeFlags, Uint8Array);
  if (mask.ranges.length % 2 !== 0) refuse(`ranges must have an even number of elements, got ${mask.ranges.length}`);
  checkLength("rangeFlags", mask.rangeFlags, mask.ranges.length / 2);
  if (!Array.isArray(mask.bands) || mask.bands.length > MAX_BANDS)
    refuse(`bands must be an array of at most ${MAX_BANDS}`);
  mask.bands.forEach((band, t) => {
    checkBand(band, `bands[${t}]`);
  });
  const blocks = Math.ceil(n / mask.blockSize);
  checkOffsets("rangeOffsets", mask.rangeOffsets, blocks, mask.rangeFlags.length);
  checkOffsets("columnOffsets", mask.columnOffsets, blocks, mask.columns.length);
  const testsOf = bandsByFlags(mask.bands);
  for (let a = 0; a < blocks; a++) {
    checkRangesOfBlock(mask, n, a);
    checkColumnsOfBlock(mask, n, a);
    checkRowsOfBlock(mask, n, a, testsOf);
  }
}

function checkOffsets(name: string, offsets: Int32Array, blocks: number, total: number): void {
  checkLength(name, offsets, blocks + 1);
  if (offsets[0] !== 0) refuse(`${name}[0] must be 0, got ${offsets[0]}`);
  for (let a = 0; a < blocks; a++) {
    if (offsets[a + 1] < offsets[a]) refuse(`${name} falls from ${offsets[a]} to ${offsets[a + 1]} at row block ${a}`);
  }
  if (offsets[blocks] !== total) refuse(`${name} must end at ${total}, got ${offsets[blocks]}`);
}

function checkRangesOfBlock(mask: RangesMask, n: number, a: number): void {
  const rowEnd = Math.min(n, (a + 1) * mask.blockSize);
  let previousEnd = 0;
  for (let r = mask.rangeOffsets[a]; r < mask.rangeOffsets[a + 1]; r++) {
    const start = mask.ranges[2 * r];
    const end = mask.ranges[2 * r + 1];
    const range = `row block ${a}: range [${start}, ${end})`;
    if (start < 0 || start >= end || end > n) refuse(`${range} must not be empty and must lie in 0..${n}`);
    if (start < previousEnd) refuse(`${range} begins before ${previousEnd}, where the range before it ends`);
    if (start >= rowEnd) refuse(`${range} lies above the diagonal`);
    if (mask.rangeFlags[r] >> mask.bands.length !== 0) {
      refuse(`${range} has flags ${mask.rangeFlags[r]}, but the mask has ${mask.bands.length} bands`);
    }
    previousEnd = end;
  }
}

function checkColumnsOfBlock(mask: RangesMask, n: number, a: number): void {
  const rowEnd = Math.min(n, (a + 1) * mask.blockSize);
  let previous = -1;
  let r = mask.rangeOffsets[a];
  for (let c = mask.columnOffsets[a]; c < mask.columnOffsets[a + 1]; c++) {
    const column = mask.columns[c];
    if (column < 0 || column >= n) refuse(`row block ${a}: column must be in 0..${n - 1}, got ${column}`);
    if (column <= previous) refuse(`row block ${a}: column ${column} follows ${previous}; columns must ascend`);
    if (column >= rowEnd) refuse(`row block ${a}: column ${column} lies above the diagonal`);
    while (r < mask.rangeOffsets[a + 1] && mask.ranges[2 * r + 1] <= column) r++;
    if (r < mask.rangeOffsets[a + 1] && mask.ranges[2 * r] <= column) {
      refuse(`row block ${a}: column ${column} lies inside range [${mask.ranges[2 * r]}, ${mask.ranges[2 * r + 1]})`);
    }
    previous = column;
  }
}

/** Keys that no row test can drop serve all rows from them on; the rows before must find a key that passes its tests. */
function checkRowsOfBlock(mask: RangesMask, n: number, a: number, testsOf: Band[][]): void {
  const rowEnd = Math.min(n, (a + 1) * mask.blockSize);
  let served = mask.columnOffsets[a] < mask.columnOffsets[a + 1] ? mask.columns[mask.columnOffsets[a]] : rowEnd;
  for (let r = mask.rangeOffsets[a]; r < mask.rangeOffsets[a + 1]; r++) {
    if (mask.rangeFlags[r] === 0) served = Math.min(served, mask.ranges[2 * r]);
  }
  for (let i = a * mask.blockSize; i < Math.min(served, rowEnd); i++) {
    let kept = 0;
    for (let r = mask.rangeOffsets[a]; r < mask.rangeOffsets[a + 1]; r++) {
      const start = mask.ranges[2 * r];
      kept += countInBands(testsOf[mask.rangeFlags[r]], i, start, Math.min(mask.ranges[2 * r + 1], i + 1));
    }
    if (kept === 0) refuse(`row block ${a}: row ${i} keeps no key`);
  }
}
