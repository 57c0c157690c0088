export { createOnnxAttention, type OnnxAttention } from "./attention.js";
export {
  type BaselineOptions,
  type BaselineResult,
  createOnnxBaseline,
  type OnnxBaseline,
} from "./decoder-baseline.js";
export type { BaselineConfig, BaselineModel } from "./decoder-graph.js";
export { createInt4Baseline, type Int4Baseline, type Int4BaselineOptions } from "./int4-baseline.js";
export { onnxKernels } from "./kernel-package.js";
export { createOnnxDense, type LinearHandle, type MlpHandle, type MlpWeights, type OnnxDense } from "./linear.js";
