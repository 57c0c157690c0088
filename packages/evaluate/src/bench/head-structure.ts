import type { Operands } from "./operands.js";

/** Keys that every query favours, as trained models have them at the start of a prompt. */
const SINK_TOKENS = 4;

/** Added to the scaled score of a sink. */
const SINK_SCORE = 4;

/** Added to the scaled score of a query's own key; it falls off with distance as rotary embedding makes it. */
const LOCAL_SCORE = 6;

const ROPE_THETA = 10_000;

/**
 * Adds to random queries and keys what maskers look for in trained heads: attention sinks, and a preference for near keys
 * (one vector in all queries and keys, turned by rotary embedding). Overwrites and returns its argument.
 */
export function addHeadStructure(operands: Operands): Operands {
  addLocality(operands);
  addSinks(operands);
  return operands;
}

function addLocality({ q, k, scale }: Operands): void {
  const pairs = Math.floor(q.headDim / 2);
  const size = Math.sqrt(LOCAL_SCORE / (scale * pairs));
  for (let token = 0; token < q.length; token++) {
    for (let pair = 0; pair < pairs; pair++) {
      const angle = token * ROPE_THETA ** (-pair / pairs);
      const [x, y] = [size * Math.cos(angle), size * Math.sin(angle)];
      for (const { data, heads, headStride, tokenStride } of [q, k]) {
        for (let head = 0; head < heads; head++) {
          const at = head * headStride + token * tokenStride + pair;
          data[at] += x;
          data[at + pairs] += y;
        }
      }
    }
  }
}

function addSinks({ q, k, scale }: Operands): void {
  const size = Math.sqrt(SINK_SCORE / scale);
  for (let at = 0; at < q.data.length; at += q.headDim) q.data[at] += size;
  for (let head = 0; head < k.heads; head++) {
    for (let token = 0; token < Math.min(SINK_TOKENS, k.length); token++)
      k.data[head * k.headStride + token * k.tokenStride] += size;
  }
}
