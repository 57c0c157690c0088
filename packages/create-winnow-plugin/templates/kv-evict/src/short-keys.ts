import { type EvictScorer, elementAt } from "@winnow/core";

/** First tokens of the prompt, which attention always leans on. */
export const SINK_TOKENS = 4;

/** Last tokens of the prompt, which the next ones refer to. */
export const RECENT_TOKENS = 16;

/**
 * At the end of the prompt each KV head keeps the share `keepRatio` of its tokens: those with the shortest keys, for they draw the most attention.
 * Winnow keeps the forced tokens and breaks ties by the lower index. O(n * d) per KV head.
 */
export function shortKeys({ keepRatio }: { readonly keepRatio: number }): EvictScorer {
  return {
    sinkTokens: SINK_TOKENS,
    recentTokens: RECENT_TOKENS,
    budget: (length) => Math.max(1, Math.floor(length * keepRatio)),
    score({ k }) {
      const scores = new Float32Array(k.heads * k.length);
      for (let head = 0, at = 0; head < k.heads; head++)
        for (let token = 0; token < k.length; token++, at++) {
          let squares = 0;
          for (let c = 0; c < k.headDim; c++) squares += elementAt(k, head, token, c) ** 2;
          scores[at] = -Math.sqrt(squares);
        }
      return scores;
    },
  };
}
