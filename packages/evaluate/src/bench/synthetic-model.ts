import { copyFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toBf16 } from "@winnow/core";
import {
  type ModelConfig,
  openModelFolder,
  parseModelConfig,
  readModelConfig,
  requiredTensors,
  type TensorToWrite,
  writeSafetensors,
} from "@winnow/models";
import { randomBf16 } from "./random-weight.js";

/** Sizes of a decoder in Llama layout with a tied head. */
export interface DecoderShape {
  readonly layers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly vocabSize: number;
}

const HEAD_DIM = 64;

/** Weights of a layer over hidden^2: q and o 1 each, k and v 1/4 each, the three of the MLP 8/3 each. */
const LAYER_SHARE = 10.5;

/** A model of about 0.5 B parameters has this depth; others are as much deeper as they are wider. */
const REFERENCE = { layers: 24, parameters: 5e8 };

/** A Llama-like shape of about so many parameters: at least two layers of one head. */
export function decoderShape(parameters: number, vocabSize: number): DecoderShape {
  const layers = Math.max(2, Math.round(REFERENCE.layers * Math.cbrt(parameters / REFERENCE.parameters)));
  // layers * 10.5 h^2 + vocab * h = parameters
  const a = layers * LAYER_SHARE;
  const width = (Math.sqrt(vocabSize ** 2 + 4 * a * parameters) - vocabSize) / (2 * a);
  const queryHeads = Math.max(1, Math.round(width / HEAD_DIM));
  const hiddenSize = queryHeads * HEAD_DIM;
  const intermediateSize = Math.round((8 * hiddenSize) / 3 / HEAD_DIM) * HEAD_DIM;
  return { layers, hiddenSize, intermediateSize, queryHeads, kvHeads: kvHeadsOf(queryHeads), vocabSize };
}

/** The largest divisor up to a quarter; 1 if there is none. */
function kvHeadsOf(queryHeads: number): number {
  let kvHeads = Math.max(1, Math.floor(queryHeads / 4));
  while (queryHeads % kvHeads !== 0) kvHeads--;
  return kvHeads;
}

/** Of the matrices of all layers and the embedding. */
export function parameterCount({ layers, vocabSize, hiddenSize, ...shape }: DecoderShape): number {
  const headDim = hiddenSize / shape.queryHeads;
  const attention = 2 * hiddenSize ** 2 + 2 * hiddenSize * shape.kvHeads * headDim;
  return layers * (attention + 3 * hiddenSize * shape.intermediateSize) + vocabSize * hiddenSize;
}

/**
 * Writes a model folder with random bf16 weights, whose answers mean nothing and take as long as those of a trained model, with the tokenizer of another model,
 * whose vocabulary the shape must have. Errors: `ERR_OUTPUT_FILE`.
 */
export function writeSyntheticModel(folder: string, tokenizerFrom: string, shape: DecoderShape): void {
  const source = openModelFolder(tokenizerFrom);
  for (const name of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
    if (existsSync(join(source.path, name))) copyFileSync(join(source.path, name), join(folder, name));
  const { bos_token_id, eos_token_id, pad_token_id } = source.config;
  const config = { ...fixedSettings, bos_token_id, eos_token_id, pad_token_id, ...sizeSettings(shape) };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeSafetensors(join(folder, "model.safetensors"), tensorsOf(parseModelConfig(config)), { format: "pt" });
}

const fixedSettings = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_act: "silu",
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
};

function sizeSettings(shape: DecoderShape) {
  return {
    head_dim: shape.hiddenSize / shape.queryHeads,
    hidden_size: shape.hiddenSize,
    intermediate_size: shape.intermediateSize,
    num_attention_heads: shape.queryHeads,
    num_hidden_layers: shape.layers,
    num_key_value_heads: shape.kvHeads,
    vocab_size: shape.vocabSize,
  };
}

/** Made one at a time, while the file is written. Norms are 1, products at most about as large as their inputs. */
function tensorsOf(config: ModelConfig): Record<string, TensorToWrite> {
  const tensors = [...requiredTensors(config)].map(([name, shape], index): [string, TensorToWrite] => {
    const [rows, width = 0] = shape;
    const data = () => (width === 0 ? new Uint16Array(rows).fill(toBf16(1)) : randomMatrix(rows, width, index + 1));
    return [name, { dtype: "BF16", shape, data }];
  });
  return Object.fromEntries(tensors);
}

/** Bits of a bf16 number below its exponent. */
const EXPONENT = 7;

/** Spreads the rows by size; prime, so that it meets every row. */
const STRIDE = 7919;

/**
 * Row sizes fall by a power law, in mixed order, so that singular values do so as those of trained matrices. Those of a matrix of equal random rows
 * hardly differ, and finding the largest of them takes many times as long.
 */
function randomMatrix(rows: number, width: number, seed: number): Uint16Array {
  const data = randomBf16(rows * width, Math.sqrt(3 / width), seed);
  for (let row = 0; row < rows; row++) {
    const halvings = Math.floor(Math.log2(1 + ((row * STRIDE) % rows)) / 2);
    for (let e = row * width; e < (row + 1) * width; e++) data[e] -= halvings << EXPONENT;
  }
  return data;
}

/** Entries of the vocabulary that a model's tokenizer and embedding share. */
export function vocabularyOf(folder: string): number {
  return readModelConfig(openModelFolder(folder)).vocabSize;
}
