import { type BlockMask, kvHeadOf, type Masker, type MaskerContext } from "@winnow/core";

/** Tokens per block: what the attention kernels read at once. */
export const BLOCK_SIZE = 64;

/**
 * Keeps the first key block, the query's own, and of each `stride` blocks between them the one whose mean key has the largest product with the
 * mean query. Computes about 1 / stride of dense attention; planning costs O((n / BLOCK_SIZE)^2 * d) per head.
 */
export function stridedBlocks({ stride }: { readonly stride: number }): Masker {
  return {
    plan(context) {
      const { start, end } = context.heads;
      return Array.from({ length: end - start }, (_, i) => chooseBlocks(context, start + i, stride));
    },
  };
}

function chooseBlocks({ q, k, model, primitives }: MaskerContext, head: number, stride: number): BlockMask {
  const blocks = Math.ceil(q.length / BLOCK_SIZE);
  const meanQ = new Float32Array(blocks * q.headDim);
  const meanK = new Float32Array(blocks * q.headDim);
  primitives.poolMean(q, head, BLOCK_SIZE, meanQ);
  primitives.poolMean(k, kvHeadOf(head, model), BLOCK_SIZE, meanK);
  const scores = new Float32Array(blocks * blocks);
  primitives.outerScores(meanQ, meanK, q.headDim, 1, scores);
  const bits = new Uint8Array(blocks * blocks);
  for (let row = 0, own = 0; own < blocks; row += blocks, own++) {
    bits[row] = bits[row + own] = 1;
    for (let first = 1; first < own; first += stride) {
      const [best] = primitives.topK(scores, 1, row + first, row + Math.min(first + stride, own));
      bits[row + first + best] = 1;
    }
  }
  return { form: "blocks", blockSize: BLOCK_SIZE, bits };
}
