import type { Primitives } from "@winnow/core";
import type { SparseGptOptions } from "./options.js";

/** Some columns of a weight in the course of the sweep. */
export interface ColumnBlock {
  readonly start: number;
  readonly width: number;
  /** `[width, width]`: the block on the diagonal of U. */
  readonly factor: Float32Array;
}

/**
 * Which weights of a block of columns go, `[out, width]`, 1 = removed: those of lowest `w^2 / U_jj^2`, all rows competing with each other.
 * Sparsity 0 removes none and sparsity 1 all, whatever the cut.
 */
export function removedOfBlock(
  values: Float32Array,
  inFeatures: number,
  block: ColumnBlock,
  { sparsity, cut }: Pick<SparseGptOptions, "sparsity" | "cut">,
  primitives: Pick<Primitives, "topK">,
): Uint8Array {
  const { start, width, factor } = block;
  const negated = new Float32Array((values.length / inFeatures) * width);
  for (let e = 0; e < negated.length; e++) {
    const column = e % width;
    negated[e] = -score(values[((e - column) / width) * inFeatures + start + column], factor[column * width + column]);
  }
  const wanted = Math.floor(negated.length * sparsity);
  const removed = new Uint8Array(negated.length);
  if (sparsity === 0) return removed;
  if (cut === "count") {
    for (const e of primitives.topK(negated, wanted)) removed[e] = 1;
    return removed;
  }
  let threshold = 0;
  for (const e of primitives.topK(negated, Math.min(wanted + 1, negated.length)))
    threshold = Math.min(threshold, negated[e]);
  return removed.map((_, e) => (negated[e] >= threshold ? 1 : 0));
}

/** Marks in `removed` the `count` weights of lowest score of the `size` from place `start` of a row; of equal ones the lower index. */
export function removeFromGroup(
  row: Float32Array,
  factor: Float32Array,
  start: number,
  size: number,
  count: number,
  removed: Uint8Array,
): void {
  const width = row.length;
  for (let round = 0; round < count; round++) {
    let lowest = -1;
    let lowestScore = Infinity;
    for (let i = start; i < start + size; i++) {
      if (removed[i]) continue;
      const own = score(row[i], factor[i * width + i]);
      if (lowest >= 0 && own >= lowestScore) continue;
      lowest = i;
      lowestScore = own;
    }
    removed[lowest] = 1;
  }
}

/** Error that removing a weight costs after the best compensation, twice over: `w^2 / U_jj^2` (Equation 3 of the paper). */
function score(weight: number, diagonal: number): number {
  return Math.fround(weight ** 2 / diagonal ** 2);
}
