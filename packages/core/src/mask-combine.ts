import type { Band, Mask, RangesMask } from "./mask.js";
import { RangesBuilder } from "./mask-builder.js";
import { lowerMask } from "./mask-lowering.js";
import { ABSENT, type FlagRule, indexOfBand, SegmentReader, Segments, sweep } from "./mask-segments.js";

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
 * Throws ERR_KERNEL_UNSUPPORTED for an exact vertical-slash mask, and where more than eight different row tests (MAX_BANDS) come together.
 * O(size of the lowered masks).
 */
export function intersectMasks(a: Mask, b: Mask, n: number): RangesMask {
  return combine(a, b, n, (left, right) => (left === ABSENT || right === ABSENT ? ABSENT : left | right), true);
}

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
