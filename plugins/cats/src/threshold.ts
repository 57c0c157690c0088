import type { Primitives } from "@winnow/core";
import type { CatsOptions } from "./options.js";

/** Threshold that `sparsity` of the magnitudes do not exceed, by the chosen quantile. Magnitudes are finite, not negative and at least one. */
export function thresholdOf(
  magnitudes: Float32Array,
  { sparsity, quantile }: CatsOptions,
  primitives: Pick<Primitives, "topK">,
): number {
  return quantile === "exact"
    ? exactThreshold(magnitudes, sparsity, primitives)
    : histogramThreshold(magnitudes, sparsity);
}

/** The floor(count * sparsity)-th smallest; 0, which skips exact zeros only, if that is none. */
function exactThreshold(magnitudes: Float32Array, sparsity: number, primitives: Pick<Primitives, "topK">): number {
  const rank = Math.floor(magnitudes.length * sparsity);
  if (rank === 0) return 0;
  let smallest = Infinity;
  for (const e of primitives.topK(magnitudes, magnitudes.length - rank + 1))
    smallest = Math.min(smallest, magnitudes[e]);
  return smallest;
}

/** Left edge of the first bin whose cumulative share exceeds `sparsity`; of the last bin, if none does. */
function histogramThreshold(magnitudes: Float32Array, sparsity: number): number {
  const counts = histogram(magnitudes);
  let bin = 0;
  for (let sum = counts[0]; bin < counts.length - 1 && sum <= magnitudes.length * sparsity; sum += counts[bin]) bin++;
  return edges[bin];
}

/** Edges of the 999 bins: -Infinity, 998 points from -1 to 1, Infinity. */
export const edges = Float32Array.from({ length: 1000 }, (_, e) =>
  e === 0 ? -Infinity : e === 999 ? Infinity : -1 + (2 * (e - 1)) / 997,
);

/** How many of the values lie in each bin, left edge included. */
function histogram(values: Float32Array): Uint32Array {
  const counts = new Uint32Array(edges.length - 1);
  for (const value of values) {
    // One step too far to the left, so that rounding cannot pass the right bin.
    let bin = Math.max(0, Math.floor(((Math.min(value, 1) + 1) / 2) * 997));
    while (value >= edges[bin + 1]) bin++;
    counts[bin]++;
  }
  return counts;
}
