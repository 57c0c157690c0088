// Reads models and fixtures without the models package, so that the baseline stays an independent check.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** All tensors of a .safetensors file as `{ shape, data }`: BF16 and F32 become Float32Array, I32 Int32Array. */
export function readSafetensors(path) {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerLength));
  const tensors = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [start, end] = entry.data_offsets.map((offset) => offset + 8 + headerLength);
    tensors.set(name, { shape: entry.shape, data: decode(entry.dtype, file.subarray(start, end)) });
  }
  return tensors;
}

function decode(dtype, bytes) {
  const memory = new Uint8Array(bytes).buffer; // a copy: entries need not be aligned
  if (dtype === "F32") return new Float32Array(memory);
  if (dtype === "I32") return new Int32Array(memory);
  if (dtype !== "BF16") throw new Error(`Cannot read tensors of type ${dtype}.`);
  const bits = Uint32Array.from(new Uint16Array(memory), (half) => half << 16);
  return new Float32Array(bits.buffer);
}

/** A Hugging Face folder in Llama layout as the argument of `createOnnxBaseline`. */
export function readLlama(folder) {
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  const tensors = readSafetensors(join(folder, "model.safetensors"));
  const { head_dim: headDim, rope_theta: theta } = config;
  return {
    config: {
      layers: config.num_hidden_layers,
      hiddenSize: config.hidden_size,
      intermediateSize: config.intermediate_size,
      queryHeads: config.num_attention_heads,
      kvHeads: config.num_key_value_heads,
      headDim,
      vocabSize: config.vocab_size,
      contextLength: config.max_position_embeddings,
      rmsNormEpsilon: config.rms_norm_eps,
      inverseFrequencies: Float32Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim)),
      tiedEmbeddings: config.tie_word_embeddings,
    },
    tensors: (name) => tensors.get(name).data,
  };
}
