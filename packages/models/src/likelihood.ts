import type { LayerOperations } from "@winnow/core";
import { argmax } from "./dense-forward.js";

/**
 * -ln softmax(logits)[target] of each row; logits `[targets.length, vocabSize]` are overwritten. The normaliser comes from the largest probability, which is
 * far from underflow: ln sum e^x = x_max - ln p_max. O(rows * vocabSize).
 */
export function negativeLogLikelihoods(
  ops: Pick<LayerOperations, "softmaxRows">,
  logits: Float32Array,
  targets: Int32Array,
  vocabSize: number,
): Float64Array {
  const rows = targets.length;
  const rowOf = (row: number) => logits.subarray(row * vocabSize, (row + 1) * vocabSize);
  const best = Int32Array.from(targets, (_, row) => argmax(rowOf(row)));
  const gaps = Float64Array.from(targets, (target, row) => rowOf(row)[best[row]] - rowOf(row)[target]);
  ops.softmaxRows(logits.subarray(0, rows * vocabSize), rows, vocabSize);
  return gaps.map((gap, row) => gap - Math.log(rowOf(row)[best[row]]));
}
