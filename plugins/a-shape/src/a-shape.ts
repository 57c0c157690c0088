import { bandMask, type Masker } from "@winnow/core";
import type { AShapeOptions } from "./options.js";

/**
 * A-shape: pair (i, j), j <= i, is kept iff j < n_init or i - j < n_local. Exact per token, positions are the true ones.
 * The window counts the query itself, so with n <= n_local attention is dense.
 *
 * One mask for all heads and layers, O(1) to plan. A row keeps min(i + 1, n_local) + max(0, min(n_init, i + 1 - n_local)) keys.
 *
 * Source: arXiv 2309.17453, figure 1 d, as a prefill mask in arXiv 2407.02490, figure 3 a; `a_shape_kernel` of the reference code.
 */
export function aShape({ sinkTokens, recentTokens }: AShapeOptions): Masker {
  return { plan: () => [bandMask({ sinkTokens, recentTokens })] };
}
