export { createOnnxAttention, type OnnxAttention } from "./attention.js";
export {
  type BaselineOptions,
  type BaselineResult,
  createOnnxBaseline,
  type OnnxBaseline,
} from "./decoder-baseline.js";
export type { BaselineConfig, BaselineModel } from "./decoder-graph.js";
export { onnxKernels } from "./kernel-package.js";
export { createOnnxDense, type LinearHandle, type MlpHandle, type MlpWeights, type OnnxDense } from "./linear.js";
