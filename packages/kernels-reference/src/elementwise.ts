import { type Activation, type DenseOperations, type FloatData, fromBf16, type HeadTensor } from "@winnow/core";
import { activationOf } from "./activation.js";
import { check, checkArray, checkCount, checkHeads } from "./check.js";

export const elementwiseOperations: Pick<DenseOperations, "embed" | "rmsNorm" | "rope" | "gatedActivation" | "add"> = {
  embed,
  rmsNorm,
  rope,
  gatedActivation,
  add,
};

function embed(ids: Int32Array, table: FloatData, width: number, out: Float32Array): void {
  checkCount("embed", "width", width, 1);
  checkArray("embed", "ids", ids, Int32Array, 0);
  checkArray("embed", "table", table, table instanceof Float32Array ? Float32Array : Uint16Array, width);
  checkArray("embed", "out", out, Float32Array, ids.length * width);
  const vocabulary = Math.floor(table.length / width);
  ids.forEach((id, r) => {
    check(id >= 0 && id < vocabulary, "embed", `ids[${r}]`, `be in 0..${vocabulary - 1}`, id);
  });
  const isBf16 = table instanceof Uint16Array;
  for (let r = 0; r < ids.length; r++) {
    for (let c = 0; c < width; c++) {
      const stored = table[ids[r] * width + c];
      out[r * width + c] = isBf16 ? fromBf16(stored) : stored;
    }
  }
}

function rmsNorm(
  x: Float32Array,
  rows: number,
  width: number,
  weight: Float32Array,
  epsilon: number,
  out: Float32Array,
): void {
  checkCount("rmsNorm", "rows", rows);
  checkCount("rmsNorm", "width", width, 1);
  check(epsilon >= 0 && Number.isFinite(epsilon), "rmsNorm", "epsilon", "be a finite number >= 0", epsilon);
  checkArray("rmsNorm", "x", x, Float32Array, rows * width);
  checkArray("rmsNorm", "weight", weight, Float32Array, width);
  checkArray("rmsNorm", "out", out, Float32Array, rows * width);
  for (let start = 0; start < rows * width; start += width) {
    let squares = 0;
    for (let c = 0; c < width; c++) squares += x[start + c] ** 2;
    const root = Math.sqrt(squares / width + epsilon);
    // A row of zeros with epsilon 0 stays zero.
    for (let c = 0; c < width; c++) out[start + c] = root === 0 ? 0 : (x[start + c] / root) * weight[c];
  }
}

function rope(x: HeadTensor, positions: Int32Array, cos: Float32Array, sin: Float32Array): void {
  checkHeads("rope", "x", x, { dtype: "f32" });
  check(x.headDim % 2 === 0, "rope", "x.headDim", "be even", x.headDim);
  checkArray("rope", "positions", positions, Int32Array, x.length);
  checkArray("rope", "cos", cos, Float32Array, 0);
  checkArray("rope", "sin", sin, Float32Array, cos.length);
  const half = x.headDim / 2;
  const tableRows = Math.floor(cos.length / half);
  for (let t = 0; t < x.length; t++) {
    const inside = positions[t] >= 0 && positions[t] < tableRows;
    check(inside, "rope", `positions[${t}]`, `be in 0..${tableRows - 1}`, positions[t]);
  }
  for (let head = 0; head < x.heads; head++) {
    for (let t = 0; t < x.length; t++) {
      const start = x.offset + head * x.headStride + t * x.tokenStride;
      rotate(x.data, start, half, cos, sin, positions[t] * half);
    }
  }
}

function rotate(data: FloatData, start: number, half: number, cos: Float32Array, sin: Float32Array, row: number): void {
  for (let c = 0; c < half; c++) {
    const first = data[start + c];
    const second = data[start + half + c];
    data[start + c] = first * cos[row + c] - second * sin[row + c];
    data[start + half + c] = second * cos[row + c] + first * sin[row + c];
  }
}

function gatedActivation(gate: Float32Array, up: Float32Array, count: number, activation: Activation): void {
  checkCount("gatedActivation", "count", count);
  checkArray("gatedActivation", "gate", gate, Float32Array, count);
  checkArray("gatedActivation", "up", up, Float32Array, count);
  const activate = activationOf("gatedActivation", activation);
  for (let i = 0; i < count; i++) gate[i] = activate(gate[i]) * up[i];
}

function add(x: Float32Array, y: Float32Array, count: number): void {
  checkCount("add", "count", count);
  checkArray("add", "x", x, Float32Array, count);
  checkArray("add", "y", y, Float32Array, count);
  for (let i = 0; i < count; i++) x[i] += y[i];
}
