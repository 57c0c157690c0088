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

/** The code of 0 that MatMulNBits assumes when no zero points are given. */
const ZERO_POINT = 128;

/** Adds `x * weight^T` for x `[..., inFeatures]`, in float32 or with 8-bit weights. */
export function addMatMul(graph: OnnxGraph, x: string, weights: MatMulWeights, precision: "f32" | "int8"): string {
  return precision === "f32" ? floatMatMul(graph, x, weights) : eightBitMatMul(graph, x, weights);
}

function floatMatMul(graph: OnnxGraph, x: string, weights: MatMulWeights): string {
  const { name, inFeatures } = weights;
  const width = totalWidth(weights);
  const values = new Float32Array(inFeatures * width);
  forEachRow(weights, (row, column) => {
    for (let i = 0; i < inFeatures; i++) values[i * width + column] = row[i];
  });
  return graph.node("MatMul", [x, graph.initializer(`${name}.transposed`, values, [inFeatures, width])]);
}

/**
 * MatMulNBits with one scale per group of a weight row. `accuracy_level` 4 quantises activations by group too and multiplies integers;
 * at the default level 8 bits are slower than float32. DynamicQuantizeMatMul ran single projections of 512 and 4096 rows 2 to 3 times faster, but its
 * one scale for all activations of a run moved logits of winnow-16m-32k by 2.9 to 9.6 (three prompts), against 0.25 to 0.48 here: no valid baseline.
 */
function eightBitMatMul(graph: OnnxGraph, x: string, weights: MatMulWeights): string {
  const { name, inFeatures } = weights;
  const width = totalWidth(weights);
  const groups = Math.ceil(inFeatures / GROUP);
  const codes = new Uint8Array(width * groups * GROUP).fill(ZERO_POINT);
  const scales = new Float32Array(width * groups);
  forEachRow(weights, (row, column) => {
    for (let group = 0; group < groups; group++) {
      const place = column * groups + group;
      scales[place] = quantize(row.subarray(group * GROUP, (group + 1) * GROUP), codes.subarray(place * GROUP));
    }
  });
  const inputs = [
    graph.initializer(`${name}.codes`, codes, [width, groups, GROUP]),
    graph.initializer(`${name}.scales`, scales, [width * groups]),
  ];
  const attributes = { K: inFeatures, N: width, bits: 8, block_size: GROUP, accuracy_level: 4 };
  return graph.node("MatMulNBits", [x, ...inputs], attributes, MICROSOFT);
}

/** Writes codes symmetric around the zero point and returns their scale, 0 for a group of zeros. */
function quantize(values: Float32Array, codes: Uint8Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  const scale = largest / 127;
  if (scale > 0) for (let i = 0; i < values.length; i++) codes[i] = ZERO_POINT + Math.round(values[i] / scale);
  return scale;
}

function totalWidth({ outFeatures }: MatMulWeights): number {
  return outFeatures.reduce((sum, size) => sum + size, 0);
}

function forEachRow({ rows, inFeatures }: MatMulWeights, visit: (row: Float32Array, column: number) => void): void {
  let column = 0;
  for (const part of rows) {
    for (let start = 0; start < part.length; start += inFeatures)
      visit(part.subarray(start, start + inFeatures), column++);
  }
}
