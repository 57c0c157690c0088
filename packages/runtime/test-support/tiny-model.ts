import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromBf16, toBf16 } from "@winnow/core";
import { parseModelConfig, requiredTensors, type TensorToWrite, writeSafetensors } from "@winnow/models";
import type { PipelineInput } from "@winnow/runtime";
import { Seeded } from "@winnow/testkit";
import { modelFolder } from "./engines.js";

const sizes = {
  vocab_size: 8192,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  max_position_embeddings: 64,
};

/** A random Llama (or what `config` makes of it) of three small layers with the tokenizer of the shipped model. Returns its folder. */
export function writeTinyModel(
  parent: string,
  { dtype = "F32", config = {} }: { dtype?: "F32" | "BF16"; config?: Readonly<Record<string, unknown>> } = {},
): string {
  const folder = join(parent, "tiny");
  mkdirSync(folder);
  const json = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_act: "silu",
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    bos_token_id: 0,
    eos_token_id: 1,
    ...sizes,
    ...config,
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(json));
  for (const name of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
    copyFileSync(join(modelFolder, name), join(folder, name));
  const random = new Seeded(7);
  const tensors: Record<string, TensorToWrite> = {};
  for (const [name, shape] of requiredTensors(parseModelConfig(json)))
    tensors[name] = { dtype, shape, data: numbers(random, shape, dtype) };
  writeSafetensors(join(folder, "model.safetensors"), tensors);
  return folder;
}

/** Norm weights about 1, matrices about 0; exact in bf16. */
function numbers(random: Seeded, shape: readonly number[], dtype: "F32" | "BF16"): Float32Array | Uint16Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const values = random.normals(count).map((value) => fromBf16(toBf16(shape.length === 1 ? 1 + value / 8 : value / 3)));
  return dtype === "F32" ? values : Uint16Array.from(values, toBf16);
}

const words = ["river", "mill", "road", "bridge", "lamp", "winter", "ship", "tower", "follows", "remembers", "slowly"];

/** `count` words in a mixed order. */
export function someText(count: number): string {
  return Array.from({ length: count }, (_, index) => words[(index * index + 3 * index) % words.length]).join(" ");
}

/** A pipeline on a tiny model: slow kernels that are always there, and a short calibration. */
export function tinyPipeline(model: string, more: Partial<PipelineInput> = {}): PipelineInput {
  return {
    model,
    precision: "f32",
    threads: 1,
    ...more,
    kernels: {
      linear: "reference",
      prefillAttention: "reference",
      decodeAttention: "reference",
      packedAttention: "reference",
      elementwise: "reference",
      cache: "reference",
      primitives: "reference",
      linearAlgebra: "reference",
    },
    calibration: { sequences: 3, length: 20, cache: false, ...more.calibration },
  };
}

/** Every file of a folder with its bytes. */
export function folderBytes(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "base64")]));
}
