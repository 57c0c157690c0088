import { type DenseOperations, type LinearWeight, weightBytes } from "@winnow/core";
import { channelsRow } from "./channels-row.js";
import { check, checkArray, checkCount } from "./check.js";
import { operandsOf } from "./linear-operands.js";
import { checkWeight } from "./weight-formats/index.js";

/** Rows that share one pass over a weight row. */
const ROW_BLOCK = 4;

export const linear: DenseOperations["linear"] = (x, rows, weight, out, accumulate = false, sparseRows = 0) => {
  checkWeight("linear", weight);
  checkRows(x, rows, weight, out, sparseRows);
  const { inFeatures, outFeatures } = weight;
  if (!accumulate) out.fill(0, 0, rows * outFeatures);
  const denseRows = weight.format === "channels" ? rows - sparseRows : rows;
  let bytes = 0;
  if (denseRows > 0) bytes += multiplyRows(x, denseRows, weight, out);
  if (weight.format !== "channels") return bytes;
  const sums = new Float64Array(outFeatures);
  for (let r = denseRows; r < rows; r++) {
    bytes += channelsRow(x.subarray(r * inFeatures, (r + 1) * inFeatures), weight, sums);
    sums.forEach((sum, o) => {
      out[r * outFeatures + o] += sum + (weight.bias?.[o] ?? 0);
    });
    bytes += weight.bias?.byteLength ?? 0;
  }
  return bytes;
};

/** Adds the product with the whole matrix to `out`. */
function multiplyRows(x: Float32Array, rows: number, weight: LinearWeight, out: Float32Array): number {
  const { inFeatures, outFeatures, bias } = weight;
  const activations = x.slice(0, rows * inFeatures);
  const { readRow, factor } = operandsOf(weight, activations);
  const weightRow = new Float32Array(inFeatures);
  const sums = new Float64Array(ROW_BLOCK);
  for (let o = 0; o < outFeatures; o++) {
    readRow(o, weightRow);
    for (let r = 0; r < rows; r += ROW_BLOCK) {
      const end = Math.min(rows, r + ROW_BLOCK);
      if (end - r === ROW_BLOCK) dotRows(activations, r * inFeatures, weightRow, sums);
      else for (let k = r; k < end; k++) sums[k - r] = dotRow(activations, k * inFeatures, weightRow);
      for (let k = r; k < end; k++) {
        out[k * outFeatures + o] += factor(k, o) * sums[k - r] + (bias ? bias[o] : 0);
      }
    }
  }
  return weight.format === "channels" ? weight.data.byteLength + (bias?.byteLength ?? 0) : weightBytes(weight);
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

/** The same sum as in `dotRows`, term by term. */
function dotRow(x: Float32Array, start: number, weightRow: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < weightRow.length; i++) sum += x[start + i] * weightRow[i];
  return sum;
}

function checkRows(x: Float32Array, rows: number, weight: LinearWeight, out: Float32Array, sparseRows: number): void {
  checkCount("linear", "rows", rows);
  checkCount("linear", "sparseRows", sparseRows);
  check(sparseRows <= rows, "linear", "sparseRows", `be in 0..${rows} (rows)`, sparseRows);
  const answered = weight.format !== "gated-rows" || sparseRows === 0;
  check(answered, "linear", "sparseRows", "be 0 for gated-rows, which gatedLinear selects", sparseRows);
  checkArray("linear", "x", x, Float32Array, rows * weight.inFeatures);
  checkArray("linear", "out", out, Float32Array, rows * weight.outFeatures);
}
