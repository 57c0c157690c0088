import {
  type DenseOperations,
  type DensePanelWeight,
  type DenseWeight,
  type FloatData,
  type FloatDtype,
  fromBf16,
  type LinearWeight,
  panelElements,
  toBf16,
} from "@winnow/core";
import { check, checkArray, checkCount, checkData } from "./check.js";

const PANEL = 16;

export const linearOperations: Pick<DenseOperations, "packWeight" | "linear"> = { packWeight, linear };

function packWeight(weight: DenseWeight, dtype: FloatDtype): LinearWeight {
  checkWeight("packWeight", weight);
  check(weight.format === "dense", "packWeight", "weight.format", 'be "dense"', weight.format);
  check(dtype === "f32" || dtype === "bf16", "packWeight", "dtype", 'be "f32" or "bf16"', dtype);
  const { outFeatures, inFeatures } = weight;
  const data = sharedData(dtype, panelElements(dtype, outFeatures, inFeatures));
  const sourceIsBf16 = weight.dtype === "bf16";
  for (let o = 0; o < outFeatures; o++) {
    for (let i = 0; i < inFeatures; i++) {
      const stored = weight.data[o * inFeatures + i];
      const value = sourceIsBf16 ? fromBf16(stored) : stored;
      data[panelIndex(dtype, inFeatures, o, i)] = dtype === "bf16" ? toBf16(value) : value;
    }
  }
  return {
    format: "dense-panel16",
    dtype,
    outFeatures,
    inFeatures,
    data,
    ...(weight.bias && { bias: sharedCopy(weight.bias) }),
  };
}

function sharedData(dtype: FloatDtype, elements: number): FloatData {
  return dtype === "bf16"
    ? new Uint16Array(new SharedArrayBuffer(elements * 2))
    : new Float32Array(new SharedArrayBuffer(elements * 4));
}

function sharedCopy(values: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(values.byteLength));
  copy.set(values);
  return copy;
}

/** Place of weight (o, i) in the panels. */
function panelIndex(dtype: FloatDtype, inFeatures: number, o: number, i: number): number {
  const panel = Math.floor(o / PANEL);
  const lane = o % PANEL;
  if (dtype === "f32") return (panel * inFeatures + i) * PANEL + lane;
  return ((panel * Math.ceil(inFeatures / 2) + (i >> 1)) * PANEL + lane) * 2 + (i & 1);
}

/** Rows that share one pass over a weight row. */
const ROW_BLOCK = 4;

function linear(x: Float32Array, rows: number, weight: LinearWeight, out: Float32Array, accumulate = false): void {
  checkWeight("linear", weight);
  checkCount("linear", "rows", rows);
  const { inFeatures, outFeatures, bias } = weight;
  checkArray("linear", "x", x, Float32Array, rows * inFeatures);
  checkArray("linear", "out", out, Float32Array, rows * outFeatures);
  // Padded to a multiple of the row block, so that the inner loop has one form.
  const activations = new Float32Array(Math.ceil(rows / ROW_BLOCK) * ROW_BLOCK * inFeatures);
  activations.set(x.subarray(0, rows * inFeatures));
  if (weight.dtype === "bf16") for (let e = 0; e < rows * inFeatures; e++) activations[e] = fromBf16(toBf16(x[e]));
  const weightRow = new Float32Array(inFeatures);
  const sums = new Float64Array(ROW_BLOCK);
  for (let o = 0; o < outFeatures; o++) {
    readWeightRow(weight, o, weightRow);
    for (let r = 0; r < rows; r += ROW_BLOCK) {
      dotRows(activations, r * inFeatures, weightRow, sums);
      for (let k = r; k < Math.min(rows, r + ROW_BLOCK); k++) {
        const place = k * outFeatures + o;
        out[place] = (accumulate ? out[place] : 0) + sums[k - r] + (bias ? bias[o] : 0);
      }
    }
  }
}

function readWeightRow(weight: LinearWeight, o: number, row: Float32Array): void {
  const { data, dtype, inFeatures } = weight;
  for (let i = 0; i < inFeatures; i++) {
    const stored = data[weight.format === "dense" ? o * inFeatures + i : panelIndex(dtype, inFeatures, o, i)];
    row[i] = dtype === "bf16" ? fromBf16(stored) : stored;
  }
}

/** Dot products of four consecutive rows of `x` with one weight row. */
function dotRows(x: Float32Array, start: number, weightRow: Float32Array, sums: Float64Array): void {
  const width = weightRow.length;
  let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
  for (let i = 0; i < width; i++) {
    const w = weightRow[i];
    sum0 += x[start + i] * w;
    sum1 += x[start + width + i] * w;
    sum2 += x[start + 2 * width + i] * w;
    sum3 += x[start + 3 * width + i] * w;
  }
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
  sums[3] = sum3;
}

function checkWeight(operation: string, weight: DenseWeight | DensePanelWeight): void {
  const { format, dtype, outFeatures, inFeatures, bias } = weight;
  const known = format === "dense" || format === "dense-panel16";
  check(known, operation, "weight.format", 'be "dense" or "dense-panel16"', format);
  checkCount(operation, "weight.outFeatures", outFeatures, 1);
  checkCount(operation, "weight.inFeatures", inFeatures, 1);
  const elements = format === "dense" ? outFeatures * inFeatures : panelElements(dtype, outFeatures, inFeatures);
  checkData(operation, "weight", weight, elements);
  if (bias) checkArray(operation, "weight.bias", bias, Float32Array, outFeatures);
}
