import { type Activation, type DenseOperations, type FloatData, fromBf16, type HeadTensor } from "@winnow/core";
import { check, checkArray, checkCount, checkHeads } from "./check.js";

export const elementwiseOperations: Omit<DenseOperations, "packWeight" | "linear"> = {
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

const activations: Record<Activation, (x: number) => number> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  "gelu-tanh": (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(0, x),
};

/** 2 / sqrt(pi) * e^(-x^2) * sum over k of 2^k x^(2k + 1) / (1 * 3 * ... * (2k + 1)): no term cancels another. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let k = 1; Math.abs(term) > Math.abs(sum) * 2 ** -54; k++) {
    term *= (2 * x * x) / (2 * k + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

function gatedActivation(gate: Float32Array, up: Float32Array, count: number, activation: Activation): void {
  checkCount("gatedActivation", "count", count);
  checkArray("gatedActivation", "gate", gate, Float32Array, count);
  checkArray("gatedActivation", "up", up, Float32Array, count);
  const known = Object.keys(activations);
  check(known.includes(activation), "gatedActivation", "activation", `be one of ${known.join(", ")}`, activation);
  const activate = activations[activation];
  for (let i = 0; i < count; i++) gate[i] = activate(gate[i]) * up[i];
}

function add(x: Float32Array, y: Float32Array, count: number): void {
  checkCount("add", "count", count);
  checkArray("add", "x", x, Float32Array, count);
  checkArray("add", "y", y, Float32Array, count);
  for (let i = 0; i < count; i++) x[i] += y[i];
}
