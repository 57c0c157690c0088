import { elementAt, type PrefillEndContext } from "@winnow/core";
import { RECENT_TOKENS, SINK_TOKENS } from "./short-keys.js";

/** The method again, by sorting in float64: ascending tokens that each KV head keeps, or undefined for all of them. */
export function oracle({ k }: PrefillEndContext, { keepRatio }: { readonly keepRatio: number }) {
  const count = Math.max(1, Math.floor(k.length * keepRatio));
  if (count >= k.length) return undefined;
  return Array.from({ length: k.heads }, (_, head) => {
    const tokens = Array.from({ length: k.length }, (_, token) => {
      const key = Array.from({ length: k.headDim }, (_, c) => elementAt(k, head, token, c));
      return { token, length: Math.hypot(...key), rank: rank(token, k.length) };
    });
    tokens.sort((a, b) => a.rank - b.rank || a.length - b.length || a.token - b.token);
    return tokens
      .slice(0, count)
      .map(({ token }) => token)
      .sort((a, b) => a - b);
  });
}

/** The last tokens come first, latest before earlier, then the first ones in their order, then the others, which compete. */
function rank(token: number, length: number): number {
  if (token >= length - RECENT_TOKENS) return length - token;
  return token < SINK_TOKENS ? length + token : 2 * length;
}
