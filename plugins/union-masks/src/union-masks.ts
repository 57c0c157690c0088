import { combinePerHead, denseMask, type Mask, type Masker, unionMasks } from "@winnow/core";

/**
 * Union per head: pair (i, j), j <= i, is kept iff any inner masker keeps it.
 *
 * Exact for what the kernels compute of each inner mask (a vertical-slash mask is its 64 x 64 cover), except where two different bands meet in one
 * query block of at most 64 rows: there the whole overlap is kept, fewer than 64 keys a row more. One mask for all heads if every inner masker returns one.
 *
 * Cost: that of all inner maskers, then O(size of their lowered masks).
 */
export function unionOfMasks(maskers: readonly Masker[]): Masker {
  return {
    plan(context) {
      const either = (a: Mask, b: Mask) =>
        a.form === "dense" || b.form === "dense" ? denseMask : unionMasks(a, b, context.q.length);
      return maskers.map((masker) => masker.plan(context)).reduce((a, b) => combinePerHead(a, b, either));
    },
  };
}
