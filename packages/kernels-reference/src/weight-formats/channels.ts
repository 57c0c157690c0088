import type { ChannelsWeight, DenseWeight, FloatDtype, LowRankFactors } from "@winnow/core";
import { checkPart, checkPartArray } from "../check.js";
import { checkSelection } from "../select-entries.js";
import { checkShape, denseOf, widen } from "./dense.js";

export function checkChannels(operation: string, weight: ChannelsWeight): void {
  const { outFeatures, inFeatures, dtype, data, selection, lowRank } = weight;
  checkShape(operation, weight);
  checkFloats(operation, "data", dtype, data, outFeatures * inFeatures);
  checkSelection(operation, selection, inFeatures);
  if (lowRank) checkLowRank(operation, lowRank, outFeatures, inFeatures);
}

export function decodeChannels(weight: ChannelsWeight): DenseWeight {
  return denseOf(weight, weight.dtype, (o, row) => readChannelsRow(weight, o, row));
}

/** Row `o` of the matrix, which is a column of the data, as numbers. */
export function readChannelsRow({ dtype, data, outFeatures }: ChannelsWeight, o: number, row: Float32Array): void {
  for (let i = 0; i < row.length; i++) row[i] = data[i * outFeatures + o];
  if (dtype === "bf16") widen(row);
}

/** Exactly `length` numbers of the type that `dtype` names. */
export function checkFloats(operation: string, part: string, dtype: FloatDtype, data: unknown, length: number): void {
  checkPart(dtype === "f32" || dtype === "bf16", operation, `dtype (of ${part})`, 'be "f32" or "bf16"', dtype);
  checkPartArray(operation, part, data, dtype === "f32" ? Float32Array : Uint16Array, length);
}

function checkLowRank(
  operation: string,
  { rank, dtype, inputs, outputs }: LowRankFactors,
  outFeatures: number,
  inFeatures: number,
): void {
  const whole = Number.isSafeInteger(rank) && rank >= 1;
  checkPart(whole, operation, "lowRank.rank", "be an integer >= 1", rank);
  checkFloats(operation, "lowRank.inputs", dtype, inputs, inFeatures * rank);
  checkFloats(operation, "lowRank.outputs", dtype, outputs, rank * outFeatures);
}
