import { type BlockScorer, kvHeadOf } from "@winnow/core";

/** Tokens per block: what the attention kernels read at once. */
export const BLOCK_SIZE = 64;

/**
 * Scores a pair of blocks by the product of their mean query and mean key. Winnow keeps the best `keepBlocks` of each query block, the first one and
 * the query's own among them; ties go to the lower index. O((n / BLOCK_SIZE)^2 * d) per head.
 */
export function pooledScores({ keepBlocks }: { readonly keepBlocks: number }): BlockScorer {
  return {
    blockSize: BLOCK_SIZE,
    keepBlocks,
    sinkBlocks: 1,
    recentBlocks: 1,
    score({ q, k, model, primitives }, head) {
      const blocks = Math.ceil(q.length / BLOCK_SIZE);
      const meanQ = new Float32Array(blocks * q.headDim);
      const meanK = new Float32Array(blocks * q.headDim);
      primitives.poolMean(q, head, BLOCK_SIZE, meanQ);
      primitives.poolMean(k, kvHeadOf(head, model), BLOCK_SIZE, meanK);
      const scores = new Float32Array(blocks * blocks);
      primitives.outerScores(meanQ, meanK, q.headDim, 1, scores);
      return scores;
    },
  };
}
