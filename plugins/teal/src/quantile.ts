import type { TealOptions } from "./options.js";

/** Threshold that a share of the inputs does not exceed in magnitude; a share above 1 counts as 1, share 0 gives 0. */
export type Thresholds = (share: number) => number;

/** Thresholds of a sample of inputs, finite and at least one. O(n log n) once. */
export function thresholdsOf(inputs: Float32Array, quantile: TealOptions["quantile"]): Thresholds {
  return quantile === "abs" ? absoluteThresholds(inputs) : signedThresholds(inputs);
}

/** The floor(count * share)-th smallest magnitude. */
function absoluteThresholds(inputs: Float32Array): Thresholds {
  const magnitudes = inputs.map(Math.abs).sort();
  return (share) => {
    const rank = Math.floor(magnitudes.length * Math.min(share, 1));
    return rank === 0 ? 0 : magnitudes[rank - 1];
  };
}

/** The quantile 0.5 + share / 2, right for a distribution that is symmetric around 0. */
function signedThresholds(inputs: Float32Array): Thresholds {
  const bins = histogram(inputs);
  // A negative threshold would keep zeros, which change nothing.
  return (share) => (share === 0 ? 0 : Math.max(0, inverse(bins, (0.5 + Math.min(share, 1) / 2) * inputs.length)));
}

export interface Histogram {
  /** Middle of each bin. */
  readonly centers: Float64Array;
  /** Number of values in this bin and those before it. */
  readonly cumulative: Float64Array;
}

const BINS = 10_000;
/** Share of the values on each side that fall into one outer bin. */
const TAIL = 0.01;

/** 9998 equal bins between the 1 % tails, and one bin for each tail. */
export function histogram(values: Float32Array): Histogram {
  const sorted = values.slice().sort();
  const edges = edgesOf(sorted);
  const cumulative = new Float64Array(BINS).fill(sorted.length);
  let below = 0;
  for (let bin = 0; bin < BINS - 1; bin++) {
    while (below < sorted.length && sorted[below] < edges[bin + 1]) below++;
    cumulative[bin] = below;
  }
  return { centers: cumulative.map((_, bin) => (edges[bin] + edges[bin + 1]) / 2), cumulative };
}

function edgesOf(sorted: Float32Array): Float64Array {
  const count = sorted.length;
  const tail = Math.floor(TAIL * count);
  const low = sorted[tail];
  const high = sorted[Math.min(count - tail, count - 1)];
  const edges = Float64Array.from({ length: BINS + 1 }, (_, e) => low + ((high - low) * (e - 1)) / (BINS - 2));
  edges[0] = sorted[0];
  edges[BINS] = sorted[count - 1];
  return edges;
}

/** Where the cumulative count reaches `target`, linear between the middles of bins. */
function inverse({ centers, cumulative }: Histogram, target: number): number {
  const bin = cumulative.findIndex((count) => count >= target);
  if (bin === 0) return centers[0];
  const below = cumulative[bin - 1];
  const part = (target - below) / (cumulative[bin] - below);
  return centers[bin - 1] + part * (centers[bin] - centers[bin - 1]);
}
