import { elementAt, type HeadTensor, kvHeadOf, type MaskerContext } from "@winnow/core";
import { BLOCK_SIZE } from "./pooled-scores.js";

/** The method again, as plain loops in float64 over its definition: does `head` keep the pair of query i and key j <= i? */
export function oracle(context: MaskerContext, { keepBlocks }: { readonly keepBlocks: number }) {
  const scores = Array.from({ length: context.q.heads }, (_, head) => blockScores(context, head));
  return (head: number, i: number, j: number): boolean => {
    const [own, block] = [Math.floor(i / BLOCK_SIZE), Math.floor(j / BLOCK_SIZE)];
    const score = (other: number) =>
      other === 0 || other === own ? Number.POSITIVE_INFINITY : scores[head][own][other];
    let better = 0;
    for (let other = 0; other <= own; other++) {
      if (other < block ? score(other) >= score(block) : score(other) > score(block)) better++;
    }
    return better < keepBlocks;
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
