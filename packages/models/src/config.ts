import { join } from "node:path";
import { type Activation, type ModelShape, WinnowError } from "@winnow/core";
import { z } from "zod";
import {
  type Architecture,
  type ArchitectureTraits,
  type AttentionBias,
  architectures,
  findArchitecture,
} from "./architectures.js";
import type { ModelFolder } from "./folder.js";
import { describe, type JsonObject } from "./json.js";
import { parseRope, type RopeConfig, ropeKeys } from "./rope-config.js";
import { checkSchema, type Fail } from "./schema-check.js";

/** The shape of a decoder, whatever its architecture. Plain data. */
export interface ModelConfig extends ModelShape {
  readonly architecture: Architecture;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly normEpsilon: number;
  readonly activation: Activation;
  /** The head uses the embedding table. */
  readonly tiedEmbeddings: boolean;
  readonly attentionBias: AttentionBias;
  readonly mlpBias: boolean;
  /** Names of biases that this folder holds beyond those of its config.json; only the compact form has them. */
  readonly addedBiases?: readonly string[];
  readonly qkNorm: boolean;
  /** Per layer: query i sees keys j with i - j < window; null: all keys up to i. */
  readonly slidingWindow: readonly (number | null)[];
  readonly rope: RopeConfig;
}

/** Bounds keep products of sizes exact and arrays allocatable; real models stay far below them. */
const size = (max: number) => z.int().min(1).max(max);
const MAX_WIDTH = 1 << 20;
const MAX_TOKENS = 1 << 24;

const activations: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_fast: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  relu: "relu",
};

const identitySchema = z.object({
  model_type: z.string().optional(),
  architectures: z.array(z.string()).nullish(),
});

const rawSchema = z.object({
  ...identitySchema.shape,
  vocab_size: size(MAX_TOKENS),
  hidden_size: size(MAX_WIDTH),
  num_hidden_layers: size(4096),
  num_attention_heads: size(MAX_WIDTH),
  num_key_value_heads: size(MAX_WIDTH).nullish(),
  head_dim: size(4096).nullish(),
  intermediate_size: size(MAX_WIDTH),
  max_position_embeddings: size(MAX_TOKENS),
  rms_norm_eps: z.number().positive().max(1).default(1e-6),
  hidden_act: z.string().default("silu"),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  sliding_window: size(MAX_TOKENS).nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.int().min(0).nullish(),
  layer_types: z.array(z.string()).nullish(),
  quantization_config: z.unknown().optional(),
  ...ropeKeys,
});

const sparseFormat = z.enum(["dense", "sparse-bitmask", "sparse-24-bitmask"]);

/** What compressed-tensors writes for a checkpoint that is sparse but not quantised. */
const sparseOnlySchema = z.object({
  quant_method: z.literal("compressed-tensors"),
  format: sparseFormat.nullish(),
  config_groups: z.strictObject({}).nullish(),
  kv_cache_scheme: z.null().optional(),
  sparsity_config: z.object({ format: sparseFormat }),
});

/** The keys of config.json that are read; all others are ignored. */
export type RawConfig = z.infer<typeof rawSchema>;

/** The configuration of an opened folder. Errors: `ERR_MODEL_CONFIG`, see {@link parseModelConfig}. */
export function readModelConfig(folder: ModelFolder): ModelConfig {
  const { path, config, addedBiases } = folder;
  return { ...parseModelConfig(config, join(path, "config.json")), ...(addedBiases.length > 0 && { addedBiases }) };
}

/**
 * Gives meaning to a config.json of Hugging Face, of old and new form.
 * Errors: `ERR_MODEL_CONFIG` names the key, what was given and what was expected.
 */
export function parseModelConfig(json: JsonObject, source = "config.json"): ModelConfig {
  const fail = failure(source);
  // First, because a file of another architecture lacks other keys too, and this reason is the useful one.
  const identity = checkSchema(identitySchema, json, fail);
  const architecture = findArchitecture(identity as RawConfig, fail);
  const raw = checkSchema(rawSchema, json, fail);
  if (raw.quantization_config != null && !sparseOnlySchema.safeParse(raw.quantization_config).success) {
    fail("quantization_config", "absent (F32, F16 or BF16 weights)", raw.quantization_config);
  }
  const traits: ArchitectureTraits = architectures[architecture];
  return {
    architecture,
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    layers: raw.num_hidden_layers,
    ...attentionShape(raw, traits, fail),
    intermediateSize: raw.intermediate_size,
    contextLength: raw.max_position_embeddings,
    normEpsilon: raw.rms_norm_eps,
    activation: activationOf(raw, fail),
    tiedEmbeddings: raw.tie_word_embeddings,
    attentionBias: traits.attentionBias(raw),
    mlpBias: traits.mlpBias(raw),
    qkNorm: traits.qkNorm,
    slidingWindow: traits.slidingWindow(raw, fail),
    rope: parseRope(raw, raw.max_position_embeddings, fail),
  };
}

function attentionShape(
  raw: RawConfig,
  traits: ArchitectureTraits,
  fail: Fail,
): Pick<ModelConfig, "queryHeads" | "kvHeads" | "headDim"> {
  const queryHeads = raw.num_attention_heads;
  const kvHeads = raw.num_key_value_heads ?? (traits.kvHeadsDefaultToQueryHeads ? queryHeads : undefined);
  if (kvHeads === undefined) return fail("num_key_value_heads", "a positive integer", kvHeads);
  if (queryHeads % kvHeads !== 0) {
    fail("num_key_value_heads", `a divisor of num_attention_heads (${queryHeads})`, kvHeads);
  }
  const headDim = raw.head_dim ?? traits.defaultHeadDim ?? raw.hidden_size / queryHeads;
  if (!Number.isInteger(headDim)) {
    fail("hidden_size", `a multiple of num_attention_heads (${queryHeads}) where head_dim is absent`, raw.hidden_size);
  }
  if (headDim % 2 !== 0) fail("head_dim", "even, because RoPE turns pairs of channels", headDim);
  return { queryHeads, kvHeads, headDim };
}

function activationOf(raw: RawConfig, fail: Fail): Activation {
  if (!Object.hasOwn(activations, raw.hidden_act)) {
    fail("hidden_act", `one of ${Object.keys(activations).join(", ")}`, raw.hidden_act);
  }
  return activations[raw.hidden_act];
}

function failure(source: string): Fail {
  return (key, expected, given) => {
    throw new WinnowError(
      "ERR_MODEL_CONFIG",
      `Cannot use "${source}": "${key}" must be ${expected}, got ${describe(given)}. Correct config.json, or use a supported model.`,
    );
  };
}
