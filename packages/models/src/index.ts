export { type Architecture, type AttentionBias, architectures } from "./architectures.js";
export type { BitmaskMatrix } from "./bitmask.js";
export { biasKeyOf } from "./compact/bias-writer.js";
export type { MatrixDescription } from "./compact/description.js";
export { type CompactMatrix, readMatrix } from "./compact/matrix.js";
export type { MatrixSource } from "./compact/matrix-source.js";
export { type WriteModelOptions, type WrittenModel, writeModel } from "./compact/write-model.js";
export { type ModelConfig, parseModelConfig, readModelConfig } from "./config.js";
export {
  type AttentionInputs,
  createDecoder,
  Decoder,
  type DecoderOptions,
  type InputObserver,
  type InputPlace,
  type ResidualRows,
} from "./decoder.js";
export { argmax, DenseSequence, denseForward, greedyContinuation, runLayer } from "./dense-forward.js";
export { type ModelFolder, openModelFolder, type StoredTensor } from "./folder.js";
export { negativeLogLikelihoods, residualLosses, type ScoredRows } from "./likelihood.js";
export { createRopeTable, inverseFrequencies, type RopeTable } from "./rope.js";
export type { RopeConfig, RopeScaling } from "./rope-config.js";
export {
  type LoadedTensor,
  loadSafetensors,
  readSafetensorsHeader,
  readTensor,
  type SafetensorsFile,
} from "./safetensors.js";
export type { TensorData, TensorDtype } from "./safetensors-dtype.js";
export type { TensorEntry } from "./safetensors-entries.js";
export { type TensorToWrite, writeSafetensors } from "./safetensors-write.js";
export type { SpecialIds } from "./special-ids.js";
export {
  checkTensors,
  type LayerSpec,
  type LinearSpec,
  layerSpec,
  linearSpecs,
  requiredTensors,
} from "./tensor-layout.js";
export type { TokenStream } from "./token-stream.js";
export { type DecodeOptions, type EncodeOptions, loadTokenizer, Tokenizer } from "./tokenizer.js";
export {
  bitmaskReport,
  type MagnitudeBin,
  profitableFormats,
  tensorReport,
  type WeightReport,
  weightReport,
} from "./weight-report.js";
export {
  type LayerWeights,
  type LinearRole,
  type LoadOptions,
  type LoadProgress,
  linearWeights,
  loadEmbedding,
  loadLayer,
  loadWeights,
  type ModelWeights,
} from "./weights.js";
export { ZeroStatistics } from "./zero-statistics.js";
