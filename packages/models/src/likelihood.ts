import type { LayerOperations } from "@winnow/core";
import type { Decoder } from "./decoder.js";
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

export interface ScoredRows {
  /** `[targets.length or more, hiddenSize]`: the residual stream after the last layer. */
  readonly residual: Float32Array;
  /** What follows each row. */
  readonly targets: Int32Array;
  /** Rows whose logits are in memory at once. */
  readonly chunkRows: number;
  /** Called before each chunk; may throw to stop. */
  beforeChunk?(): void;
}

/** {@link negativeLogLikelihoods} of the tokens that follow rows of the final residual stream, chunk by chunk. */
export async function residualLosses(decoder: Decoder, rows: ScoredRows): Promise<Float64Array> {
  const { residual, targets, chunkRows } = rows;
  const { hiddenSize, vocabSize } = decoder.config;
  const losses = new Float64Array(targets.length);
  const logits = new Float32Array(Math.min(chunkRows, targets.length) * vocabSize);
  for (let start = 0; start < targets.length; start += chunkRows) {
    rows.beforeChunk?.();
    const part = targets.subarray(start, start + chunkRows);
    await decoder.logits(residual.subarray(start * hiddenSize), part.length, logits);
    losses.set(negativeLogLikelihoods(decoder.ops, logits, part, vocabSize), start);
  }
  return losses;
}
