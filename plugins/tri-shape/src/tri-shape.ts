import { bandMask, denseMask, type Mask, type Masker, type MaskerContext } from "@winnow/core";
import type { TriShapeOptions } from "./options.js";

/**
 * Tri-shape: A-shape whose last rows are dense. Pair (i, j), j <= i, is kept iff j < n_init or i - j < n_local or i >= n - t.
 * TriangleMix: layers below `startingLayer` are dense.
 *
 * One mask for all heads, O(1) to plan. It needs the end of the prompt: appending a token moves the dense strip.
 *
 * Source: arXiv 2412.10319 (Tri-shape); `tri_shape_kernel` and `tri_mix_forward` of the reference code.
 */
export function triShape(options: TriShapeOptions): Masker {
  return {
    plan: ({ layer, q }: MaskerContext) => [layer < options.startingLayer ? denseMask : triangle(options, q.length)],
  };
}

function triangle({ sinkTokens, recentTokens, denseLastTokens }: TriShapeOptions, n: number): Mask {
  // At least one row stays in the sparse part, as in the reference; row 0 is the same either way.
  const t = Math.min(denseLastTokens, n - 1);
  return bandMask({ sinkTokens, recentTokens, denseFromRow: n - t });
}
