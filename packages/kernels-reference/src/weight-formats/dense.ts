import { type DenseWeight, type FloatDtype, fromBf16, type LinearWeight, sharedFloats, toBf16 } from "@winnow/core";
import { check, checkArray, checkCount, checkData } from "../check.js";
import { sharedShape } from "./shared.js";

/** What all formats have in common. */
export function checkShape(operation: string, { outFeatures, inFeatures, bias }: LinearWeight): void {
  checkCount(operation, "weight.outFeatures", outFeatures, 1);
  checkCount(operation, "weight.inFeatures", inFeatures, 1);
  if (bias) checkArray(operation, "weight.bias", bias, Float32Array, outFeatures);
}

export function checkDense(operation: string, weight: DenseWeight): void {
  check(weight.format === "dense", operation, "weight.format", 'be "dense"', weight.format);
  checkShape(operation, weight);
  checkData(operation, "weight", weight, weight.outFeatures * weight.inFeatures);
}

/** A copy in shared memory. */
export function decodeDense(weight: DenseWeight): DenseWeight {
  return denseOf(weight, weight.dtype, (o, row) => readDenseRow(weight, o, row));
}

/** Row `o` as numbers. */
export function readDenseRow({ data, dtype, inFeatures }: DenseWeight, o: number, row: Float32Array): void {
  const start = o * inFeatures;
  for (let i = 0; i < inFeatures; i++) row[i] = data[start + i];
  if (dtype === "bf16") widen(row);
}

/** Builds a dense weight row by row, in shared memory. */
export function denseOf(
  shape: LinearWeight,
  dtype: FloatDtype,
  readRow: (o: number, row: Float32Array) => void,
): DenseWeight {
  const { outFeatures, inFeatures } = shape;
  const data = sharedFloats(dtype, outFeatures * inFeatures);
  const row = new Float32Array(inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    readRow(o, row);
    data.set(dtype === "bf16" ? row.map(toBf16) : row, o * inFeatures);
  }
  return { format: "dense", dtype, ...sharedShape(shape), data };
}

/** Numbers that are bf16 bits become the values that they stand for. */
export function widen(row: Float32Array): void {
  for (let i = 0; i < row.length; i++) row[i] = fromBf16(row[i]);
}
