import { type ElementScorer, elementAt } from "@winnow/core";

/** Last tokens, which stay as they are: the next ones refer to them most. */
export const RECENT_TOKENS = 32;

/** Tokens that are compressed together. */
export const GROUP_TOKENS = 64;

/** Elements of a row of `d` that stay. */
export function elementsKept(d: number, keepRatio: number): number {
  return Math.max(1, Math.floor(d * keepRatio));
}

/**
 * Of each row of K and of V that is older than the recent tokens, the share `keepRatio` of its elements stays: those of the largest magnitude.
 * Winnow compresses the groups and breaks ties by the lower index. O(d) per row.
 */
export function largeElements({ keepRatio }: { readonly keepRatio: number }): ElementScorer {
  return {
    recentTokens: RECENT_TOKENS,
    groupTokens: GROUP_TOKENS,
    kept: (d) => ({ k: elementsKept(d, keepRatio), v: elementsKept(d, keepRatio) }),
    score(context, part) {
      const x = context[part];
      const scores = new Float32Array(x.heads * x.length * x.headDim);
      for (let head = 0, at = 0; head < x.heads; head++)
        for (let token = 0; token < x.length; token++)
          for (let c = 0; c < x.headDim; c++, at++) scores[at] = Math.abs(elementAt(x, head, token, c));
      return scores;
    },
  };
}
