import { WinnowError } from "@winnow/core";
import type { CompactMatrix } from "./compact/matrix.js";
import type { ModelConfig } from "./config.js";
import type { ModelFolder } from "./folder.js";

/** A matrix of the model file, `[outFeatures, inFeatures]`, with the bias that belongs to it. */
export interface LinearSpec {
  readonly weight: string;
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly bias?: string;
}

export interface VectorSpec {
  readonly name: string;
  readonly length: number;
}

/** Names and shapes of the tensors of one layer, by their role in the decoder. */
export interface LayerSpec {
  readonly attentionNorm: VectorSpec;
  readonly q: LinearSpec;
  readonly k: LinearSpec;
  readonly v: LinearSpec;
  readonly o: LinearSpec;
  readonly qNorm?: VectorSpec;
  readonly kNorm?: VectorSpec;
  readonly mlpNorm: VectorSpec;
  readonly gate: LinearSpec;
  readonly up: LinearSpec;
  readonly down: LinearSpec;
}

export const EMBEDDING = "model.embed_tokens.weight";
export const FINAL_NORM = "model.norm.weight";
export const HEAD = "lm_head.weight";

/** Tensors of one layer as Hugging Face names them. */
export function layerSpec(config: ModelConfig, layer: number): LayerSpec {
  const { hiddenSize, headDim, attentionBias, mlpBias, addedBiases, intermediateSize } = config;
  const prefix = `model.layers.${layer}`;
  const vector = (name: string, length: number): VectorSpec => ({ name: `${prefix}.${name}.weight`, length });
  const linear = (name: string, outFeatures: number, inFeatures: number, bias: boolean): LinearSpec => ({
    weight: `${prefix}.${name}.weight`,
    outFeatures,
    inFeatures,
    ...((bias || addedBiases?.includes(`${prefix}.${name}.bias`)) && { bias: `${prefix}.${name}.bias` }),
  });
  const queryWidth = config.queryHeads * headDim;
  const kvWidth = config.kvHeads * headDim;
  return {
    attentionNorm: vector("input_layernorm", hiddenSize),
    q: linear("self_attn.q_proj", queryWidth, hiddenSize, attentionBias.q),
    k: linear("self_attn.k_proj", kvWidth, hiddenSize, attentionBias.k),
    v: linear("self_attn.v_proj", kvWidth, hiddenSize, attentionBias.v),
    o: linear("self_attn.o_proj", hiddenSize, queryWidth, attentionBias.o),
    ...(config.qkNorm && { qNorm: vector("self_attn.q_norm", headDim), kNorm: vector("self_attn.k_norm", headDim) }),
    mlpNorm: vector("post_attention_layernorm", hiddenSize),
    gate: linear("mlp.gate_proj", intermediateSize, hiddenSize, mlpBias),
    up: linear("mlp.up_proj", intermediateSize, hiddenSize, mlpBias),
    down: linear("mlp.down_proj", hiddenSize, intermediateSize, mlpBias),
  };
}

/** The matrices that a product is taken with, by the name of their weight: all but the embedding table and a head that is tied to it. */
export function linearSpecs(config: ModelConfig): ReadonlyMap<string, LinearSpec> {
  const specs = new Map<string, LinearSpec>();
  for (let layer = 0; layer < config.layers; layer++) {
    for (const spec of Object.values(layerSpec(config, layer)) as (LinearSpec | VectorSpec)[])
      if ("weight" in spec) specs.set(spec.weight, spec);
  }
  if (!config.tiedEmbeddings) {
    specs.set(HEAD, { weight: HEAD, outFeatures: config.vocabSize, inFeatures: config.hiddenSize });
  }
  return specs;
}

/** Every tensor that the decoder reads, with its shape. */
export function requiredTensors(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  shapes.set(EMBEDDING, [config.vocabSize, config.hiddenSize]);
  for (let layer = 0; layer < config.layers; layer++) {
    for (const spec of Object.values(layerSpec(config, layer)) as (LinearSpec | VectorSpec)[]) {
      if ("name" in spec) shapes.set(spec.name, [spec.length]);
      else {
        shapes.set(spec.weight, [spec.outFeatures, spec.inFeatures]);
        if (spec.bias) shapes.set(spec.bias, [spec.outFeatures]);
      }
    }
  }
  shapes.set(FINAL_NORM, [config.hiddenSize]);
  if (!config.tiedEmbeddings) shapes.set(HEAD, [config.vocabSize, config.hiddenSize]);
  return shapes;
}

/**
 * Compares the folder's tensors with those that the config asks for: all there, of the right shape, F32, F16 or BF16, and no others.
 * A matrix may stand in a compressed form instead. Tolerated extras hold nothing new: tables of inverse frequencies of old files, and a head beside tied embeddings.
 * Cost: O(tensors); no data is read. Errors: `ERR_MODEL_TENSOR`.
 */
export function checkTensors(folder: ModelFolder, config: ModelConfig): void {
  const required = requiredTensors(config);
  const linears = linearSpecs(config);
  for (const matrix of folder.matrices.values()) checkMatrix(matrix, linears.get(matrix.name));
  for (const [name, shape] of required) if (!folder.matrices.has(name)) checkTensor(folder, name, shape);
  for (const name of [...folder.tensors.keys(), ...folder.bitmasks.keys()]) {
    if (required.has(name) || /\.rotary_emb\.inv_freq$/.test(name)) continue;
    if (name === HEAD) checkTensor(folder, name, [config.vocabSize, config.hiddenSize]);
    else {
      throw tensorError(
        folder,
        name,
        `a ${config.architecture} model of ${config.layers} layers has no such tensor, so ignoring it would change the result`,
        "Check that config.json belongs to these weights",
      );
    }
  }
}

function checkMatrix({ name, file, description }: CompactMatrix, spec: LinearSpec | undefined): void {
  const { outFeatures, inFeatures } = description;
  if (spec?.outFeatures === outFeatures && spec.inFeatures === inFeatures) return;
  const expected = spec
    ? `its shape must be [${spec.outFeatures}, ${spec.inFeatures}] according to config.json, got [${outFeatures}, ${inFeatures}]`
    : "config.json describes no such matrix, or one that must be a plain tensor";
  throw new WinnowError(
    "ERR_MODEL_TENSOR",
    `Cannot use compact matrix "${name}" of "${file.path}": ${expected}. Check that config.json belongs to these weights.`,
  );
}

function checkTensor(folder: ModelFolder, name: string, shape: readonly number[]): void {
  const stored = folder.bitmasks.get(name) ?? folder.tensors.get(name)?.entry;
  if (!stored) {
    const advice = name === HEAD ? 'Set "tie_word_embeddings": true if the head is the embedding table' : undefined;
    throw tensorError(folder, name, "it is missing", advice ?? "Check that config.json belongs to these weights");
  }
  if (stored.shape.length !== shape.length || stored.shape.some((size, axis) => size !== shape[axis])) {
    throw tensorError(
      folder,
      name,
      `its shape must be [${shape.join(", ")}] according to config.json, got [${stored.shape.join(", ")}]`,
      "Check that config.json belongs to these weights",
    );
  }
  if (stored.dtype !== "F32" && stored.dtype !== "F16" && stored.dtype !== "BF16") {
    throw tensorError(
      folder,
      name,
      `its dtype must be F32, F16 or BF16, got ${stored.dtype}`,
      "Use unquantised weights",
    );
  }
}

function tensorError(folder: ModelFolder, name: string, problem: string, advice: string): WinnowError {
  const file = folder.tensors.get(name)?.file.path ?? folder.path;
  return new WinnowError("ERR_MODEL_TENSOR", `Cannot use tensor "${name}" of "${file}": ${problem}. ${advice}.`);
}
