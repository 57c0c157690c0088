import { bandMask, denseMask, type Mask, type Masker, unionMasks } from "@winnow/core";

/**
 * Pair (i, j), j <= i, is kept iff j < n_init, or i - j < n_local, or the inner masker keeps it.
 *
 * Exact for what the kernels compute of the inner mask, except where the inner mask has a band of its own: where the edges of both bands meet in one
 * query block, all keys of the overlap are kept, fewer than 64 a row. Prompts of at most n_local tokens are dense without asking the inner masker.
 *
 * Cost: that of the inner masker, then O(size of its lowered mask).
 * Source of the band: arXiv 2309.17453, section 3.2.
 */
export function keepAlways(sinkTokens: number, recentTokens: number, inner: Masker): Masker {
  const band = bandMask({ sinkTokens, recentTokens });
  return {
    plan(context) {
      const n = context.q.length;
      if (n <= recentTokens) return [denseMask];
      const withBand = (mask: Mask) => (mask.form === "dense" ? mask : unionMasks(mask, band, n));
      return inner.plan(context).map(withBand);
    },
  };
}
