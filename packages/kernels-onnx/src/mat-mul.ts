import { MICROSOFT, type OnnxGraph } from "./onnx-model.js";

/** Row-major `[outFeatures[i], inFeatures]` matrices that share their input; results stand side by side. */
export interface MatMulWeights {
  readonly name: string;
  readonly rows: readonly Float32Array[];
  readonly outFeatures: readonly number[];
  readonly inFeatures: number;
}

/** Input features that share one scale in 8 bits. */
const GROUP = 32;

/** Adds `x * weight^T` for x `[..., inFeatures]`, in float32 or with 8-bit weights. */
export function addMatMul(graph: OnnxGraph, x: string, weights: MatMulWeights, precision: "f32" | "int8"): string {
  return precision === "f32" ? floatMatMul(graph, x, weights) : eightBitMatMul(graph, x, weights);
}

function floatMatMul(graph: OnnxGraph, x: string, { name, rows, outFeatures, inFeatures }: MatMulWeights): string {
  const width = outFeatures.reduce((sum, size) => sum + size, 0);
  const transposed = new Float32Array(inFeatures * width);
  let column = 0;
  for (const part of rows) {
    for (let start = 0; start < part.length; start += inFeatures, column++) {
      for (let i = 0; i < inFeatures; i++) transposed[i * width + column] = part[start + i];
    }
  }
  return graph.node("MatMul", [x, graph.initializer(`${name}.transposed`, transposed, [inFeatures, width])]);
}

/** MatMulNBits; `accuracy_level` 4 makes ONNX Runtime quantise activations and multiply integers, without it 8 bits are slower than float32. */
function eightBitMatMul(graph: OnnxGraph, x: string, { name, rows, outFeatures, inFeatures }: MatMulWeights): string {
  const width = outFeatures.reduce((sum, size) => sum + size, 0);
  const groups = Math.ceil(inFeatures / GROUP);
  const codes = new Uint8Array(width * groups * GROUP).fill(128);
  const scales = new Float32Array(width * groups);
  let row = 0;
  for (const part of rows) {
    for (let start = 0; start < part.length; start += inFeatures, row++) {
      for (let group = 0; group < groups; group++) {
        const end = Math.min((group + 1) * GROUP, inFeatures);
        const values = part.subarray(start + group * GROUP, start + end);
        const place = row * groups + group;
        scales[place] = quantize(values, codes.subarray(place * GROUP));
      }
    }
  }
  return graph.node(
    "MatMulNBits",
    [
      x,
      graph.initializer(`${name}.codes`, codes, [width, groups, GROUP]),
      graph.initializer(`${name}.scales`, scales, [width * groups]),
    ],
    { K: inFeatures, N: width, bits: 8, block_size: GROUP, accuracy_level: 4 },
    MICROSOFT,
  );
}

/** Symmetric around code 128, the zero point that MatMulNBits assumes; returns the scale. */
function quantize(values: Float32Array, codes: Uint8Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  const scale = largest / 127;
  for (let i = 0; i < values.length; i++) codes[i] = 128 + (scale === 0 ? 0 : Math.round(values[i] / scale));
  return scale;
}
