import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ModelConfig, parseModelConfig } from "../config.js";
import { type ModelFolder, openModelFolder } from "../folder.js";
import type { JsonObject } from "../json.js";
import { type TensorToWrite, writeSafetensors } from "../safetensors-write.js";
import { requiredTensors } from "../tensor-layout.js";

/** For tests only: a small model whose widths are no multiples of anything, with biases. */
export const modelJson = {
  model_type: "llama",
  vocab_size: 7,
  hidden_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  intermediate_size: 33,
  max_position_embeddings: 16,
  attention_bias: true,
};

export const modelConfig: ModelConfig = parseModelConfig(modelJson);

export function makeModel(root: string, dtype: "F32" | "BF16" = "BF16", json: JsonObject = modelJson): ModelFolder {
  const tensors: Record<string, TensorToWrite> = {};
  let next = 0;
  for (const [name, shape] of requiredTensors(parseModelConfig(json))) {
    const length = shape.reduce((product, size) => product * size, 1);
    const bits = Uint16Array.from({ length }, () => 0x3f00 + (next++ % 200));
    const data = dtype === "BF16" ? bits : Float32Array.from(bits);
    tensors[name] = { dtype, shape, data };
  }
  const path = mkdtempSync(join(root, "source"));
  writeFileSync(join(path, "config.json"), JSON.stringify(json));
  writeFileSync(join(path, "tokenizer.json"), '{"kept": "as it is"}\n');
  writeFileSync(join(path, "generation_config.json"), "{}");
  writeFileSync(join(path, "notes.bin"), "left behind");
  writeSafetensors(join(path, "model.safetensors"), tensors, { format: "pt", made: "here" });
  return openModelFolder(path);
}

export interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

export interface ParsedFile {
  readonly metadata: Record<string, string>;
  readonly entries: Record<string, HeaderEntry>;
  readonly dataStart: number;
  readonly bytes: Buffer;
}

/** Header and data of a safetensors file, apart from any code under test. */
export function parseFile(path: string): ParsedFile {
  const bytes = readFileSync(path);
  const dataStart = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.toString("utf8", 8, dataStart));
  return { metadata, entries, dataStart, bytes };
}

/** The same file with another header; the data stays. */
export function withHeader(path: string, edit: (file: ParsedFile) => void): void {
  const file = parseFile(path);
  edit(file);
  const json = Buffer.from(JSON.stringify({ __metadata__: file.metadata, ...file.entries }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, file.bytes.subarray(file.dataStart)]));
}

/** Bytes of one tensor of a file. */
export function bytesIn(path: string, name: string): Buffer {
  const { entries, dataStart, bytes } = parseFile(path);
  const [begin, end] = entries[name].data_offsets;
  return bytes.subarray(dataStart + begin, dataStart + end);
}
