import { elementAt, type HeadTensor, kvHeadOf, type MaskerContext } from "@winnow/core";
import { BLOCK_SIZE } from "./strided-blocks.js";

/** The method again, as plain loops in float64 over its definition: does `head` keep the pair of query i and key j <= i? */
export function oracle(context: MaskerContext, { stride }: { readonly stride: number }) {
  const scores = Array.from({ length: context.q.heads }, (_, head) => blockScores(context, head));
  return (head: number, i: number, j: number): boolean => {
    const [own, block] = [Math.floor(i / BLOCK_SIZE), Math.floor(j / BLOCK_SIZE)];
    if (block === 0 || block === own) return true;
    const row = scores[head][own];
    const first = block - ((block - 1) % stride);
    for (let other = first; other < Math.min(first + stride, own); other++) {
      if (other < block ? row[other] >= row[block] : row[other] > row[block]) return false;
    }
    return true;
  };
}

/** Products of the mean query of each block with the mean key of each. */
function blockScores({ q, k, model }: MaskerContext, head: number): number[][] {
  const keys = means(k, kvHeadOf(head, model));
  return means(q, head).map((query) => keys.map((key) => query.reduce((sum, value, c) => sum + value * key[c], 0)));
}

/** Tokens beyond the end count as zeros. */
function means(x: HeadTensor, head: number): number[][] {
  return Array.from({ length: Math.ceil(x.length / BLOCK_SIZE) }, (_, block) =>
    Array.from({ length: x.headDim }, (_, c) => {
      let sum = 0;
      const end = Math.min((block + 1) * BLOCK_SIZE, x.length);
      for (let token = block * BLOCK_SIZE; token < end; token++) sum += elementAt(x, head, token, c);
      return sum / BLOCK_SIZE;
    }),
  );
}
