import { fromBf16, WinnowError } from "@winnow/core";
import type { BaselineConfig, BaselineModel } from "@winnow/kernels-onnx";
import {
  inverseFrequencies,
  type ModelConfig,
  type ModelFolder,
  openModelFolder,
  readModelConfig,
  readTensor,
} from "@winnow/models";

/** A model folder as the whole-model baseline of ONNX Runtime takes it: Llama layout, weights in float32. Throws `ERR_KERNEL_UNSUPPORTED` for others. */
export function readBaselineModel(path: string): BaselineModel {
  const folder = openModelFolder(path);
  return {
    config: baselineConfig(readModelConfig(folder), path),
    tensors: (name) => readFloats(folder, name),
  };
}

function baselineConfig(config: ModelConfig, path: string): BaselineConfig {
  const { q, k, v, o } = config.attentionBias;
  const plain =
    !(q || k || v || o || config.mlpBias || config.addedBiases || config.qkNorm) &&
    config.activation === "silu" &&
    config.rope.scaling.type !== "yarn" &&
    config.slidingWindow.every((window) => window === null);
  if (!plain) throw unsupported(path, `a ${config.architecture} model with biases, other norms, windows or YaRN`);
  return {
    ...config,
    rmsNormEpsilon: config.normEpsilon,
    inverseFrequencies: inverseFrequencies(config.rope, config.headDim),
  };
}

function readFloats({ tensors, path }: ModelFolder, name: string): Float32Array {
  const { file, entry } = tensors.get(name)!;
  const bytes = readTensor(file, entry);
  if (entry.dtype === "F32") return new Float32Array(bytes.buffer);
  if (entry.dtype === "BF16") return Float32Array.from(new Uint16Array(bytes.buffer), fromBf16);
  throw unsupported(path, `weights of type ${entry.dtype}`);
}

function unsupported(path: string, given: string): WinnowError {
  return new WinnowError(
    "ERR_KERNEL_UNSUPPORTED",
    `Cannot run "${path}" through ONNX Runtime as a baseline: expected a plain Llama model in F32 or BF16, got ${given}. Leave the baseline out.`,
  );
}
