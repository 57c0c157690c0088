import type { Mask } from "./mask.js";

/** Combines the masks of two maskers head by head; a single mask stands for all heads. One combination where both sides are single. */
export function combinePerHead(
  a: readonly Mask[],
  b: readonly Mask[],
  combine: (a: Mask, b: Mask) => Mask,
): readonly Mask[] {
  const heads = Math.max(a.length, b.length);
  return Array.from({ length: heads }, (_, head) =>
    combine(a[a.length === 1 ? 0 : head], b[b.length === 1 ? 0 : head]),
  );
}
