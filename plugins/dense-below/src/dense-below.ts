import { denseMask, type Masker } from "@winnow/core";

/** Plain causal attention for prompts of fewer than `tokens` tokens, which cost nothing to plan; the inner masker's masks for longer ones. */
export function denseBelow(tokens: number, inner: Masker): Masker {
  return { plan: (context) => (context.q.length < tokens ? [denseMask] : inner.plan(context)) };
}
