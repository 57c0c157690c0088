import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { WinnowError } from "@winnow/core";
import { type BitmaskMatrix, takeBitmasks } from "./bitmask.js";
import { type CompactMatrix, splitFile } from "./compact/matrix.js";
import { describe, isJsonObject, type JsonObject, readJsonObject } from "./json.js";
import { readSafetensorsHeader, type SafetensorsFile } from "./safetensors.js";
import type { TensorEntry } from "./safetensors-entries.js";

/** A tensor and the file that holds it. */
export interface StoredTensor {
  readonly file: SafetensorsFile;
  readonly entry: TensorEntry;
}

/** A Hugging Face model folder whose headers have been read and checked; no weights are in memory yet. */
export interface ModelFolder {
  readonly path: string;
  /** config.json as it stands; `parseModelConfig` gives it meaning. */
  readonly config: JsonObject;
  /** generation_config.json, `{}` if there is none. */
  readonly generationConfig: JsonObject;
  /** All plain tensors of `model.safetensors`, or of all shards together. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Matrices that stand in the compact format instead; none in the folder of another program. */
  readonly matrices: ReadonlyMap<string, CompactMatrix>;
  /** Matrices of an older sparse checkpoint, by the name of the plain tensor that each stands for. */
  readonly bitmasks: ReadonlyMap<string, BitmaskMatrix>;
  /** Biases among the tensors that config.json does not announce; only the compact format has them. */
  readonly addedBiases: readonly string[];
  /** What was done to the weights, if `writeModel` wrote them. */
  readonly provenance?: JsonObject;
}

export const WEIGHTS = "model.safetensors";
export const INDEX = "model.safetensors.index.json";

/**
 * Opens a Hugging Face folder: config.json, then model.safetensors or the shards that model.safetensors.index.json lists.
 * Errors: `ERR_MODEL_FILE` and `ERR_MODEL_TENSOR` say which file, what is wrong with it and what to do.
 */
export function openModelFolder(path: string): ModelFolder {
  checkFolder(path);
  if (!existsSync(join(path, "config.json"))) {
    throw openError(path, `it must hold config.json, got ${listing(path)}`, "Give the folder of a Hugging Face model");
  }
  const generationPath = join(path, "generation_config.json");
  return {
    path,
    config: readJsonObject(join(path, "config.json"), "ERR_MODEL_CONFIG"),
    generationConfig: existsSync(generationPath) ? readJsonObject(generationPath, "ERR_MODEL_CONFIG") : {},
    ...sortTensors(path, readAllHeaders(path)),
  };
}

function checkFolder(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) throw openError(path, "there is no such folder", "Check the path; models are not downloaded");
  if (stats.isDirectory()) return;
  const kind = path.endsWith(".gguf") ? "a GGUF file" : "a file";
  throw openError(
    path,
    `it must be a Hugging Face folder, got ${kind}`,
    "Give the folder with config.json and safetensors",
  );
}

function sortTensors(
  path: string,
  files: readonly SafetensorsFile[],
): Pick<ModelFolder, "tensors" | "matrices" | "bitmasks" | "addedBiases" | "provenance"> {
  const tensors = new Map<string, StoredTensor>();
  const matrices = new Map<string, CompactMatrix>();
  const contents = files.map((file) => ({ file, ...splitFile(file) }));
  for (const { file, ...content } of contents) {
    for (const entry of content.plain) tensors.set(entry.name, { file, entry });
    for (const matrix of content.matrices) matrices.set(matrix.name, matrix);
  }
  const bitmasks = takeBitmasks(tensors);
  for (const [name, { file }] of matrices) {
    const other = tensors.get(name) ?? bitmasks.get(name)?.compressed;
    if (other) throw placedTwice(path, name, file, other.file);
  }
  for (const [name, { compressed }] of bitmasks) {
    const plain = tensors.get(name);
    if (plain) throw placedTwice(path, name, compressed.file, plain.file);
  }
  const provenance = contents.find((content) => content.provenance)?.provenance;
  const addedBiases = contents.flatMap(({ biases }) => biases);
  return { tensors, matrices, bitmasks, addedBiases, ...(provenance && { provenance }) };
}

function placedTwice(path: string, name: string, compact: SafetensorsFile, other: SafetensorsFile): WinnowError {
  return new WinnowError(
    "ERR_MODEL_TENSOR",
    `Cannot open model "${path}": tensor "${name}" stands in it twice, compressed in "${basename(compact.path)}" and again in "${basename(other.path)}". Download or write the model again.`,
  );
}

function readAllHeaders(path: string): readonly SafetensorsFile[] {
  if (existsSync(join(path, WEIGHTS))) return [readSafetensorsHeader(join(path, WEIGHTS))];
  if (existsSync(join(path, INDEX))) return readShards(path);
  throw openError(path, `it must hold ${WEIGHTS} or ${INDEX}, got ${listing(path)}`, conversionAdvice(path));
}

function readShards(path: string): readonly SafetensorsFile[] {
  const weightMap = readWeightMap(join(path, INDEX));
  const files = [...new Set(weightMap.values())].map((shard) => readShard(path, shard, weightMap));
  const found = new Set(files.flatMap((file) => [...file.tensors.keys()]));
  for (const [name, shard] of weightMap) {
    if (!found.has(name)) {
      throw new WinnowError(
        "ERR_MODEL_TENSOR",
        `Cannot open model "${path}": ${INDEX} places tensor "${name}" in "${shard}", which does not hold it. Download the index and the shards again.`,
      );
    }
  }
  return files;
}

function readShard(path: string, shard: string, weightMap: ReadonlyMap<string, string>): SafetensorsFile {
  if (!existsSync(join(path, shard))) {
    throw openError(path, `${INDEX} lists the shard "${shard}", which is missing`, "Download the missing file");
  }
  const file = readSafetensorsHeader(join(path, shard));
  for (const name of file.tensors.keys()) {
    if (weightMap.get(name) !== shard) throw misplaced(path, name, shard, weightMap.get(name));
  }
  return file;
}

function misplaced(path: string, name: string, shard: string, listed: string | undefined): WinnowError {
  const claim = listed === undefined ? "does not list it" : `places it in "${listed}"`;
  return new WinnowError(
    "ERR_MODEL_TENSOR",
    `Cannot open model "${path}": "${shard}" holds tensor "${name}", but ${INDEX} ${claim}. Download the index and the shards again.`,
  );
}

function readWeightMap(indexPath: string): ReadonlyMap<string, string> {
  const weightMap = readJsonObject(indexPath, "ERR_MODEL_FILE").weight_map;
  if (!isJsonObject(weightMap)) {
    throw openError(
      indexPath,
      `"weight_map" must be an object, got ${describe(weightMap)}`,
      "Download the index again",
    );
  }
  for (const [name, shard] of Object.entries(weightMap)) {
    // A plain file name: an index must not make us read elsewhere.
    if (typeof shard !== "string" || basename(shard) !== shard || !shard.endsWith(".safetensors")) {
      throw openError(
        indexPath,
        `"weight_map" must name a .safetensors file of the same folder for "${name}", got ${describe(shard)}`,
        "Download the index again",
      );
    }
  }
  return new Map(Object.entries(weightMap) as [string, string][]);
}

function conversionAdvice(path: string): string {
  const names = readdirSync(path);
  if (names.some((name) => name.endsWith(".gguf")))
    return "GGUF is not supported; use the safetensors version of the model";
  if (names.some((name) => name.endsWith(".bin") || name.endsWith(".pth") || name.endsWith(".pt"))) {
    return "PyTorch checkpoints are not supported; load the model with transformers and save it with safe_serialization=True";
  }
  return "Download the weights as safetensors";
}

function listing(path: string): string {
  const names = readdirSync(path).sort();
  if (names.length === 0) return "an empty folder";
  return names.length > 8 ? `${names.slice(0, 8).join(", ")} and ${names.length - 8} more` : names.join(", ");
}

function openError(path: string, problem: string, advice: string): WinnowError {
  return new WinnowError("ERR_MODEL_FILE", `Cannot open model "${path}": ${problem}. ${advice}.`);
}
