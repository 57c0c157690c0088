import { kvHeadOf, sliceTokens } from "@winnow/core";
import { blocksOfRow, chooseBlocks, scoreBlocks } from "./block-sparse.js";
import type { HeadPattern } from "./minference.js";
import { createScratch, type EstimateContext, estimateLines, type LineScores, selectLines } from "./vertical-slash.js";

/** Constants of the reference's `search_pattern`, which differ from those at run time. */
const SEARCH = { lastQueries: 64, sinkTokens: 30, recentTokens: 30, minSlashes: 50, blockSize: 32 } as const;

/** Rows whose attention is held at a time: memory stays at 64 n numbers. */
const ROWS = 64;

/** Attention mass that a pattern keeps in a row: `weights[base + j]` is A[row, j]. */
type KeptMass = (weights: Float32Array, base: number, row: number) => number;

/**
 * Attention recall of each candidate: the mean over rows i >= firstRow of sum_j A[i, j] M[i, j], A the full softmax map, M the candidate's exact mask
 * (no rounding to blocks of 64). A candidate's `v` is the divisor of the block count for block-sparse.
 *
 * The masks are those of the search, not of the run: A-shape keeps i - j <= s, vertical-slash forces 30 columns and 30 offsets, block-sparse pools
 * 32 tokens and keeps floor(blocks / v) of them. Rounded to float32, so that patterns that keep everything tie.
 *
 * Source: `search_pattern` of the reference code. O(n^2 d) in primitives, O(n (v + s)) per candidate here: offline only.
 */
export function attentionRecalls(
  context: EstimateContext,
  head: number,
  candidates: readonly HeadPattern[],
  firstRow: number,
): number[] {
  const { model, q, k, scale, primitives } = context;
  const n = q.length;
  const kvHead = kvHeadOf(head, model);
  const lines = estimateLines(context, head, createScratch(n, SEARCH.lastQueries));
  const keptMass = candidates.map((candidate) => keptMassOf(candidate, context, head, lines));
  const totals: number[] = candidates.map(() => 0);
  const buffer = new Float32Array(ROWS * n);
  for (let start = firstRow; start < n; start += ROWS) {
    const end = Math.min(n, start + ROWS);
    const weights = buffer.subarray(0, (end - start) * end);
    const task = { q: sliceTokens(q, start, end), k: sliceTokens(k, 0, end), head, kvHead, scale, causalOffset: start };
    primitives.scores(task, weights);
    primitives.softmaxRows(weights, end - start, end);
    for (let row = start; row < end; row++) {
      keptMass.forEach((kept, c) => {
        totals[c] += kept(weights, (row - start) * end, row);
      });
    }
  }
  return totals.map((total) => Math.fround(total / (n - firstRow)));
}

function keptMassOf({ type, v, s }: HeadPattern, context: EstimateContext, head: number, lines: LineScores): KeptMass {
  switch (type) {
    case "stream_llm":
      return aShapeMass(v, s);
    case "block_sparse":
      return blockSparseMass(v, context, head);
    case "vertical_and_slash":
      return verticalSlashMass({ v, s }, context, lines);
  }
}

function aShapeMass(sinks: number, window: number): KeptMass {
  return (weights, base, row) => {
    const windowStart = Math.max(0, row - window);
    return (
      sumRange(weights, base, base + Math.min(sinks, windowStart)) +
      sumRange(weights, base + windowStart, base + row + 1)
    );
  };
}

function verticalSlashMass(
  sizes: { v: number; s: number },
  { q, primitives }: EstimateContext,
  scores: LineScores,
): KeptMass {
  const n = q.length;
  const v = Math.min(n, Math.max(sizes.v, SEARCH.sinkTokens));
  const s = Math.min(n, Math.max(sizes.s, SEARCH.minSlashes));
  const { columns, slashes } = selectLines(scores, { v, s }, SEARCH, primitives);
  const isColumn = new Uint8Array(n);
  for (const column of columns) isColumn[column] = 1;
  return (weights, base, row) => {
    let sum = 0;
    for (let c = 0; c < columns.length && columns[c] <= row; c++) sum += weights[base + columns[c]];
    for (const offset of slashes) {
      const key = row - offset;
      if (key >= 0 && isColumn[key] === 0) sum += weights[base + key];
    }
    return sum;
  };
}

function blockSparseMass(divisor: number, context: EstimateContext, head: number): KeptMass {
  const { blockSize } = SEARCH;
  const scores = scoreBlocks(context, head, blockSize);
  const choice = chooseBlocks(scores, Math.max(1, Math.floor(scores.blocks / divisor)), context.primitives);
  return (weights, base, row) => {
    let sum = 0;
    for (const b of blocksOfRow(choice, Math.floor(row / blockSize))) {
      sum += sumRange(weights, base + b * blockSize, base + Math.min((b + 1) * blockSize, row + 1));
    }
    return sum;
  };
}

function sumRange(weights: Float32Array, start: number, end: number): number {
  let sum = 0;
  for (let x = start; x < end; x++) sum += weights[x];
  return sum;
}
