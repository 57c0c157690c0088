/** `|x_j| * scale_j` of rows of inputs, in float32 as the kernels compare it; `|x_j|` without scale. */
export function scoresOf(inputs: Float32Array, scale?: Float32Array): Float32Array {
  return inputs.map(scale ? (x, e) => Math.abs(x) * scale[e % scale.length] : Math.abs);
}

/** The floor(count * share)-th smallest score; 0, which skips exact zeros only, if that is none. */
export function thresholdOf(scores: Float32Array, share: number): number {
  const rank = Math.floor(scores.length * share);
  return rank === 0 ? 0 : scores.slice().sort()[rank - 1];
}

/** Threshold of any share, within 1 / {@link SKETCH} of it. */
export type Sketch = (share: number) => number;

const SKETCH = 4096;

/** What is left of scores for a search that needs many thresholds: {@link SKETCH} of their quantiles. */
export function sketchOf(scores: Float32Array): Sketch {
  const sorted = scores.slice().sort();
  const points = Float32Array.from({ length: SKETCH + 1 }, (_, p) => {
    const rank = Math.round((sorted.length * p) / SKETCH);
    return rank === 0 ? 0 : sorted[rank - 1];
  });
  return (share) => points[Math.round(share * SKETCH)];
}
