import {
  bandMask,
  denseMask,
  type HeadTensor,
  headsFirst,
  kvHeadOf,
  lowerMask,
  type Mask,
  type Operations,
  sliceHeads,
} from "@winnow/core";
import { BLOCK_SIZE, blockMask, chooseBlocks, forceDiagonal, scoreBlocks } from "./block-sparse.js";
import { outputCandidates, scaleSize } from "./candidates.js";
import type { HeadPattern } from "./minference.js";
import { createScratch, type EstimateContext, estimateLines, selectLines } from "./vertical-slash.js";

/** Constants of the run, see options.ts. */
const RUN = { lastQueries: 64, sinkTokens: 30, recentTokens: 100 } as const;

/** Step of the sizes in tokens at the paper's prompt length (Algorithm 1, ChangeSpace). */
const SIZE_STEP = 50;

export interface OutputContext extends EstimateContext {
  readonly v: HeadTensor;
  readonly operations: Operations;
}

/** A pattern whose size was moved until its kernel cost meets the target. */
export interface FittedPattern extends HeadPattern {
  readonly mask: Mask;
  /** Query-key cells that a kernel computes. */
  readonly cells: number;
}

/**
 * Algorithm 1, lines 1 to 9: candidates whose kernel cost on this very head equals that of A-shape (1024, 4096) within `tolerance` (a fraction).
 * The size that moves is s of vertical-slash in steps of 50 tokens, k of block-sparse in steps of a block; both in the proportion `scale` of
 * the prompt to the paper's. Candidates that cannot come near enough are left out; A-shape is always there.
 */
export function fitCandidates(
  context: EstimateContext,
  head: number,
  scale: number,
  tolerance: number,
): FittedPattern[] {
  const n = context.q.length;
  const [aShape, ...others] = outputCandidates;
  const band = { type: aShape.type, v: scaleSize(aShape.v, scale), s: scaleSize(aShape.s, scale) };
  const mask = bandMask({ sinkTokens: band.v, recentTokens: band.s });
  const target: FittedPattern = { ...band, mask, cells: kernelCells(mask, n) };
  const fitted = others.map((pattern) =>
    pattern.type === "block_sparse"
      ? fitBlocks(context, head, target.cells)
      : fitSlashes(context, head, scaleSize(pattern.v, scale), scaleSize(SIZE_STEP, scale), target.cells),
  );
  return [target, ...fitted.filter(({ cells }) => Math.abs(cells - target.cells) <= tolerance * target.cells)];
}

function fitSlashes(
  context: EstimateContext,
  head: number,
  columns: number,
  step: number,
  target: number,
): FittedPattern {
  const n = context.q.length;
  const v = Math.min(n, Math.max(columns, RUN.sinkTokens));
  const least = Math.min(n, RUN.recentTokens);
  const lines = estimateLines(context, head, createScratch(n, RUN.lastQueries));
  return nearest(Math.floor((n - least) / step), target, (m) => {
    const s = least + m * step;
    const mask: Mask = {
      form: "vertical-slash",
      ...selectLines(lines, { v, s }, RUN, context.primitives),
      exact: false,
    };
    return { type: "vertical_and_slash", v, s, mask, cells: kernelCells(mask, n) };
  });
}

function fitBlocks(context: EstimateContext, head: number, target: number): FittedPattern {
  const n = context.q.length;
  const scores = scoreBlocks(context, head, BLOCK_SIZE);
  forceDiagonal(scores);
  return nearest(scores.blocks - 1, target, (m) => {
    const mask = blockMask(chooseBlocks(scores, m + 1, context.primitives), n, BLOCK_SIZE);
    return { type: "block_sparse", v: m + 1, s: 1, mask, cells: kernelCells(mask, n) };
  });
}

/** Of sizes 0..last, the one whose cost is nearest to the target, by bisection: the cost grows with the size. */
function nearest(last: number, target: number, build: (m: number) => FittedPattern): FittedPattern {
  let low = 0;
  let high = last;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (build(middle).cells < target) low = middle + 1;
    else high = middle;
  }
  const above = build(low);
  if (low === 0) return above;
  const below = build(low - 1);
  return target - below.cells <= Math.abs(above.cells - target) ? below : above;
}

/** Cells of the lowered mask: rows times keys of each query block, the causal part of diagonal blocks included. */
export function kernelCells(mask: Mask, n: number): number {
  const { blockSize, rangeOffsets, ranges, columnOffsets } = lowerMask(mask, n);
  let cells = 0;
  for (let a = 0; a * blockSize < n; a++) {
    const rows = Math.min(n, (a + 1) * blockSize) - a * blockSize;
    let keys = columnOffsets[a + 1] - columnOffsets[a];
    for (let r = rangeOffsets[a]; r < rangeOffsets[a + 1]; r++) keys += ranges[2 * r + 1] - ranges[2 * r];
    cells += rows * keys;
  }
  return cells;
}

/** Algorithm 1, line 10: mean |y_sparse - y_dense| over all rows and channels of the head's output, per mask. O(n^2 d). */
export function outputErrors(context: OutputContext, head: number, masks: readonly Mask[]): number[] {
  const dense = headOutput(context, head, denseMask);
  return masks.map((mask) => {
    const sparse = headOutput(context, head, mask);
    let sum = 0;
    for (let x = 0; x < dense.length; x++) sum += Math.abs(sparse[x] - dense[x]);
    return sum / dense.length;
  });
}

function headOutput({ model, q, k, v, scale, operations }: OutputContext, head: number, mask: Mask): Float32Array {
  const kvHead = kvHeadOf(head, model);
  const output = new Float32Array(q.length * q.headDim);
  operations.prefillAttention({
    q: sliceHeads(q, head, head + 1),
    k: sliceHeads(k, kvHead, kvHead + 1),
    v: sliceHeads(v, kvHead, kvHead + 1),
    out: headsFirst(output, 1, q.length, q.headDim),
    scale,
    masks: [mask],
  });
  return output;
}
