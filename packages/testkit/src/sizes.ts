/** 1, 2, and each multiple of `block` up to `max` with its neighbours: where loops over blocks go wrong. */
export function edgeSizes(block: number, max: number): number[] {
  const sizes = new Set([1, 2]);
  for (let multiple = block; multiple <= max + 1; multiple += block) {
    for (const size of [multiple - 1, multiple, multiple + 1]) if (size >= 1 && size <= max) sizes.add(size);
  }
  return [...sizes].sort((a, b) => a - b);
}

/** Prompt lengths around the query block of 64. */
export const promptLengths = [1, 2, 17, 63, 64, 65, 128, 130, 200] as const;

/** Not only powers of two, and narrower than a vector. */
export const headDims = [2, 7, 16, 20, 64, 80, 128] as const;

/** [query heads, KV heads]. */
export const headCounts = [
  [1, 1],
  [2, 2],
  [4, 2],
  [3, 1],
  [6, 3],
] as const;

/** Element counts around vector widths. */
export const vectorLengths = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100] as const;
