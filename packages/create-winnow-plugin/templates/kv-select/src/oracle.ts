import { type DecodeContext, elementAt, kvHeadOf } from "@winnow/core";

/** The choice again, by sorting all products q.k in float64: ascending tokens of each query head. */
export function oracle({ q, k, length, model }: DecodeContext, { tokens }: { readonly tokens: number }): number[][] {
  return Array.from({ length: q.heads }, (_, head) => {
    const scored = Array.from({ length }, (_, token) => {
      let score = 0;
      for (let c = 0; c < k.headDim; c++)
        score += elementAt(q, head, 0, c) * elementAt(k, kvHeadOf(head, model), token, c);
      return { token, score };
    });
    scored.sort((a, b) => b.score - a.score || a.token - b.token);
    return scored
      .slice(0, tokens)
      .map(({ token }) => token)
      .sort((a, b) => a - b);
  });
}
