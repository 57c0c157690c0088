import { type BlockMask, kvHeadOf } from "@winnow/core";
import type { EstimateContext } from "./vertical-slash.js";

/** Tokens per query and key block at run time. */
export const BLOCK_SIZE = 64;

export interface BlockScores {
  /** Blocks of the padded prompt: floor(n / blockSize) + 1. */
  readonly blocks: number;
  /** `[blocks, blocks]`; -Infinity above the diagonal. */
  readonly scores: Float32Array;
}

/**
 * Estimate of Algorithm 3, lines 1 to 3: mean-pooled queries times mean-pooled keys. Unscaled and without softmax, which do not change the order.
 * The reference pads the prompt to whole blocks with zeros that count in the mean, and adds a whole block where none is needed; so does this.
 * O(n d + (n / B)^2 d).
 */
export function scoreBlocks(context: EstimateContext, head: number, blockSize: number): BlockScores {
  const { model, q, k, primitives } = context;
  const d = q.headDim;
  const blocks = Math.floor(q.length / blockSize) + 1;
  const pooledQ = new Float32Array(blocks * d);
  const pooledK = new Float32Array(blocks * d);
  primitives.poolMean(q, head, blockSize, pooledQ);
  primitives.poolMean(k, kvHeadOf(head, model), blockSize, pooledK);
  const scores = new Float32Array(blocks * blocks);
  primitives.outerScores(pooledQ, pooledK, d, 1, scores);
  for (let a = 0; a < blocks; a++) scores.fill(Number.NEGATIVE_INFINITY, a * blocks + a + 1, (a + 1) * blocks);
  return { blocks, scores };
}

/** Lets every query block choose its own key block first. */
export function forceDiagonal({ blocks, scores }: BlockScores): void {
  for (let a = 0; a < blocks; a++) scores[a * blocks + a] = Number.POSITIVE_INFINITY;
}

/** The `width` best key blocks of each query block, ascending, `[blocks, width]`. Row a counts with its first min(a + 1, width) entries only. */
export interface BlockChoice {
  readonly blocks: number;
  readonly width: number;
  readonly index: Int32Array;
}

/** Algorithm 3, line 4: top k per query block. The choices of short rows beyond the diagonal (-Infinity) sort last and do not count. */
export function chooseBlocks(
  { blocks, scores }: BlockScores,
  keepBlocks: number,
  primitives: EstimateContext["primitives"],
): BlockChoice {
  const width = Math.min(keepBlocks, blocks);
  return { blocks, width, index: primitives.topKRows(scores, blocks, blocks, width) };
}

/** Key blocks that query block `a` visits, ascending. */
export function blocksOfRow({ width, index }: BlockChoice, a: number): Int32Array {
  return index.subarray(a * width, a * width + Math.min(a + 1, width));
}

/** Bitmap over the ceil(n / B) blocks of the prompt, without the padding block. */
export function blockMask(choice: BlockChoice, n: number, blockSize: number): BlockMask {
  const blocks = Math.ceil(n / blockSize);
  const bits = new Uint8Array(blocks * blocks);
  for (let a = 0; a < blocks; a++) {
    for (const b of blocksOfRow(choice, a)) bits[a * blocks + b] = 1;
  }
  return { form: "blocks", blockSize, bits };
}
