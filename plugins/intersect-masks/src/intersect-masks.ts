import { combinePerHead, intersectMasks, type Mask, type Masker } from "@winnow/core";

/**
 * Intersection per head: pair (i, j), j <= i, is kept iff every inner masker keeps it, or j = i, so that no row is left without a key.
 *
 * Exact for what the kernels compute of each inner mask (a vertical-slash mask is its 64 x 64 cover). One mask for all heads if every inner masker
 * returns one. Fails where more than eight different bands come together.
 *
 * Cost: that of all inner maskers, then O(size of their lowered masks).
 */
export function intersectionOfMasks(maskers: readonly Masker[]): Masker {
  return {
    plan(context) {
      const both = (a: Mask, b: Mask) => intersectMasks(a, b, context.q.length);
      return maskers.map((masker) => masker.plan(context)).reduce((a, b) => combinePerHead(a, b, both));
    },
  };
}
