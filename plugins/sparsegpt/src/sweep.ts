import type { LinearAlgebra, Primitives } from "@winnow/core";
import { type ColumnBlock, removedOfBlock, removeFromGroup } from "./choice.js";
import { type Grid, onGrid, rowGrids } from "./grid.js";
import type { SparseGptOptions } from "./options.js";

/**
 * Algorithm 1 of the paper, on `values` `[out, in]` in place: block by block of columns from the left, weights are removed (and rounded) and what that changes
 * of a row's outputs is made up for by the columns to the right. `factor` is U of the inverse Hessian. O(out * in^2).
 */
export function sweep(
  values: Float32Array,
  inFeatures: number,
  factor: Float32Array,
  options: SparseGptOptions,
  operations: Pick<LinearAlgebra, "multiplyAdd"> & Pick<Primitives, "topK">,
): void {
  const { blockSize, pattern, bits } = options;
  const outFeatures = values.length / inFeatures;
  const grids = bits === undefined ? undefined : rowGrids(values, inFeatures, bits);
  for (let start = 0; start < inFeatures; start += blockSize) {
    const block = diagonalBlock(factor, inFeatures, start, Math.min(blockSize, inFeatures - start));
    const { width } = block;
    const unstructured = pattern === "unstructured";
    const removed = unstructured
      ? removedOfBlock(values, inFeatures, block, options, operations)
      : new Uint8Array(outFeatures * width);
    const errors = new Float32Array(outFeatures * width);
    for (let r = 0; r < outFeatures; r++) {
      const row = values.subarray(r * inFeatures + start, r * inFeatures + start + width);
      const [own, ownErrors] = [removed, errors].map((x) => x.subarray(r * width, (r + 1) * width));
      sweepRow(
        row,
        block.factor,
        own as Uint8Array,
        ownErrors as Float32Array,
        unstructured ? undefined : pattern,
        grids?.[r],
      );
    }
    const end = start + width;
    if (end === inFeatures) return;
    operations.multiplyAdd({
      m: outFeatures,
      n: inFeatures - end,
      k: width,
      alpha: -1,
      a: errors,
      strideA: width,
      b: factor.subarray(start * inFeatures + end),
      strideB: inFeatures,
      c: values.subarray(end),
      strideC: inFeatures,
    });
  }
}

/** One row of a block. With `groups`, each group is decided when the sweep reaches it. Errors are in units of U_ii, as the trailing update needs them. */
function sweepRow(
  row: Float32Array,
  factor: Float32Array,
  removed: Uint8Array,
  errors: Float32Array,
  groups: { readonly keep: number; readonly of: number } | undefined,
  grid: Grid | undefined,
): void {
  const width = row.length;
  for (let i = 0; i < width; i++) {
    if (groups && i % groups.of === 0) {
      const size = Math.min(groups.of, width - i);
      removeFromGroup(row, factor, i, size, size - Math.min(groups.keep, size), removed);
    }
    const value = row[i];
    const kept = removed[i] ? 0 : value;
    const target = grid ? onGrid(kept, grid) : kept;
    row[i] = target;
    if (target === value) continue;
    const error = Math.fround((value - target) / factor[i * width + i]);
    errors[i] = error;
    for (let j = i + 1; j < width; j++) row[j] -= error * factor[i * width + j];
  }
}

function diagonalBlock(factor: Float32Array, inFeatures: number, start: number, width: number): ColumnBlock {
  const block = new Float32Array(width * width);
  for (let i = 0; i < width; i++) {
    const from = (start + i) * inFeatures + start;
    block.set(factor.subarray(from, from + width), i * width);
  }
  return { start, width, factor: block };
}
