import { WinnowError } from "./errors.js";
import { type Band, MAX_BANDS, type RangesMask } from "./mask.js";
import { Int32Buffer } from "./mask-builder.js";

/** Instead of range flags: these keys are not kept. */
export const ABSENT = -1;

/** Flags of keys from the flags that both sides give them. */
export type FlagRule = (left: number, right: number) => number;

/** Ascending disjoint key segments with flags. */
export class Segments {
  private readonly data = new Int32Buffer();

  get length(): number {
    return this.data.length / 3;
  }

  start(index: number): number {
    return this.data.at(3 * index);
  }

  end(index: number): number {
    return this.data.at(3 * index + 1);
  }

  flags(index: number): number {
    return this.data.at(3 * index + 2);
  }

  clear(): void {
    this.data.clear();
  }

  /** Appends, or lengthens the last segment where the new one continues it. */
  push(start: number, end: number, flags: number): void {
    const last = this.length - 1;
    if (last >= 0 && this.end(last) === start && this.flags(last) === flags) {
      this.data.set(3 * last + 1, end);
      return;
    }
    this.data.push(start);
    this.data.push(end);
    this.data.push(flags);
  }

  /** Whether keys [start, end) are all present. */
  covers(start: number, end: number): boolean {
    let covered = start;
    for (let s = this.length - 1; s >= 0 && this.end(s) > start; s--)
      covered += this.end(s) - Math.max(start, this.start(s));
    return covered >= end;
  }
}

/** Reads the key list of one query block of a lowered mask, columns as segments of one key. */
export class SegmentReader {
  private readonly segments = new Segments();
  private readonly flagMap: Uint8Array;

  constructor(
    private readonly mask: RangesMask,
    bands: Band[],
  ) {
    const bits = mask.bands.map((band) => indexOfBand(band, bands));
    this.flagMap = Uint8Array.from({ length: 1 << bits.length }, (_, flags) =>
      bits.reduce((mapped, bit, t) => (flags & (1 << t) ? mapped | (1 << bit) : mapped), 0),
    );
  }

  get blockSize(): number {
    return this.mask.blockSize;
  }

  /** Segments of rows [start, end), cut at `end`; valid until the next call. */
  read(start: number, end: number): Segments {
    const { ranges, rangeOffsets, rangeFlags, columns, columnOffsets, blockSize } = this.mask;
    const a = Math.floor(start / blockSize);
    const lastColumn = columnOffsets[a + 1];
    let c = columnOffsets[a];
    this.segments.clear();
    for (let r = rangeOffsets[a]; r < rangeOffsets[a + 1] && ranges[2 * r] < end; r++) {
      for (; c < lastColumn && columns[c] < ranges[2 * r]; c++) this.segments.push(columns[c], columns[c] + 1, 0);
      this.segments.push(ranges[2 * r], Math.min(end, ranges[2 * r + 1]), this.flagMap[rangeFlags[r]]);
    }
    for (; c < lastColumn && columns[c] < end; c++) this.segments.push(columns[c], columns[c] + 1, 0);
    return this.segments;
  }
}

/** Index of an equal band in `bands`, appended if there is none. */
export function indexOfBand(band: Band, bands: Band[]): number {
  const index = bands.findIndex(
    (other) =>
      other.sinkTokens === band.sinkTokens &&
      other.recentTokens === band.recentTokens &&
      other.denseFromRow === band.denseFromRow,
  );
  if (index >= 0) return index;
  if (bands.length === MAX_BANDS) {
    throw new WinnowError(
      "ERR_KERNEL_UNSUPPORTED",
      `Cannot combine masks: they carry more than ${MAX_BANDS} different bands. Combine fewer sliding windows.`,
    );
  }
  return bands.push(band) - 1;
}

/** Walks the boundaries of both sides from left to right and gives each piece between them to the rule. */
export function sweep(left: Segments, right: Segments, rule: FlagRule, out: Segments): void {
  let key = 0;
  let l = 0;
  let r = 0;
  while (l < left.length || r < right.length) {
    const leftStarted = l < left.length && left.start(l) <= key;
    const rightStarted = r < right.length && right.start(r) <= key;
    const next = Math.min(nextBoundary(left, l, leftStarted), nextBoundary(right, r, rightStarted));
    const flags = rule(leftStarted ? left.flags(l) : ABSENT, rightStarted ? right.flags(r) : ABSENT);
    if (flags !== ABSENT && next > key) out.push(key, next, flags);
    key = next;
    if (leftStarted && left.end(l) === key) l++;
    if (rightStarted && right.end(r) === key) r++;
  }
}

function nextBoundary(side: Segments, index: number, started: boolean): number {
  if (index >= side.length) return Number.POSITIVE_INFINITY;
  return started ? side.end(index) : side.start(index);
}
