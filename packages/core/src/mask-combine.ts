import { WinnowError } from "./errors.js";
import { type Band, MAX_BANDS, type Mask, type RangesMask } from "./mask.js";
import { Int32Buffer, RangesBuilder } from "./mask-builder.js";
import { lowerMask } from "./mask-lowering.js";

/**
 * Pairs kept by `a` or by `b`, in canonical form over n tokens.
 *
 * Exact except where two ranges overlap whose row tests differ and neither set of tests contains the other: all (causal) pairs of that overlap are
 * kept, a superset. Such overlaps lie in the edge of a band, fewer than 64 keys per query block, or in the block where a dense strip begins.
 *
 * Throws ERR_KERNEL_UNSUPPORTED for an exact vertical-slash mask. O(size of the lowered masks).
 */
export function unionMasks(a: Mask, b: Mask, n: number): RangesMask {
  return combine(a, b, n, looserTests, false);
}

/**
 * Pairs kept by both `a` and `b`, and the diagonal, in canonical form over n tokens. Exact: where both sides have row tests, both apply.
 *
 * Throws ERR_KERNEL_UNSUPPORTED for an exact vertical-slash mask, and where more than {@link MAX_BANDS} different row tests come together.
 * O(size of the lowered masks).
 */
export function intersectMasks(a: Mask, b: Mask, n: number): RangesMask {
  return combine(a, b, n, (left, right) => (left === ABSENT || right === ABSENT ? ABSENT : left | right), true);
}

/** Instead of range flags: these keys are not kept. */
const ABSENT = -1;

/** Flags of keys from the flags that both sides give them. */
type FlagRule = (left: number, right: number) => number;

function looserTests(left: number, right: number): number {
  if (left === ABSENT) return right;
  if (right === ABSENT) return left;
  const common = left & right;
  return common === left || common === right ? common : 0;
}

/** Every band passes the diagonal, so keys that are present need nothing more. */
function fillAbsent(left: number, right: number): number {
  return left === ABSENT ? right : left;
}

/** Keeps nothing but the diagonal. */
const diagonalBand = (n: number): Band => ({ sinkTokens: 0, recentTokens: 1, denseFromRow: n });

function combine(a: Mask, b: Mask, n: number, rule: FlagRule, keepDiagonal: boolean): RangesMask {
  const bands: Band[] = [];
  const left = new SegmentReader(lowerMask(a, n), bands);
  const right = new SegmentReader(lowerMask(b, n), bands);
  const rows = Math.min(left.blockSize, right.blockSize);
  const diagonal = new Segments();
  const combined = new Segments();
  const result = new Segments();
  const builder = new RangesBuilder(rows, bands);
  for (let start = 0; start < n; start += rows) {
    const end = Math.min(n, start + rows);
    combined.clear();
    sweep(left.read(start, end), right.read(start, end), rule, combined);
    if (!keepDiagonal || combined.covers(start, end)) {
      writeSegments(combined, builder);
      continue;
    }
    diagonal.clear();
    diagonal.push(start, end, 1 << indexOfBand(diagonalBand(n), bands));
    result.clear();
    sweep(combined, diagonal, fillAbsent, result);
    writeSegments(result, builder);
  }
  return builder.finish();
}

/** Ascending disjoint key segments with flags. */
class Segments {
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
class SegmentReader {
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
function indexOfBand(band: Band, bands: Band[]): number {
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
function sweep(left: Segments, right: Segments, rule: FlagRule, out: Segments): void {
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

/**
 * Untested segments narrower than this become columns: a kernel gathers columns into full tiles, whereas a range starts a tile of its own.
 */
const NARROW_SEGMENT = 16;

function writeSegments(segments: Segments, builder: RangesBuilder): void {
  for (let s = 0; s < segments.length; s++) {
    const start = segments.start(s);
    const end = segments.end(s);
    if (segments.flags(s) !== 0 || end - start >= NARROW_SEGMENT) builder.range(start, end, segments.flags(s));
    else for (let key = start; key < end; key++) builder.column(key);
  }
  builder.endBlock();
}
