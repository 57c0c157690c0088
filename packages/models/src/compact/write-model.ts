import { copyFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type DenseWeight, type LinearWeight, type Operations, WinnowError } from "@winnow/core";
import { readBitmask } from "../bitmask.js";
import { type ModelConfig, readModelConfig } from "../config.js";
import type { StoredFloat } from "../float-convert.js";
import { type ModelFolder, openModelFolder, type StoredTensor } from "../folder.js";
import type { JsonObject } from "../json.js";
import { readTensor } from "../safetensors.js";
import { bytesOf, bytesPerElement } from "../safetensors-dtype.js";
import { checkTensors, type LinearSpec, linearSpecs } from "../tensor-layout.js";
import { BiasWriter } from "./bias-writer.js";
import { BLOCK_KEY } from "./block.js";
import { checkContent } from "./content.js";
import {
  type CompactWeight,
  describeWeight,
  isCompactWeight,
  type MatrixDescription,
  sectionsOf,
  versionFor,
} from "./description.js";
import { headerRoom } from "./header-room.js";
import { readMatrix } from "./matrix.js";
import { formatError, layerOf, MatrixLookup, type MatrixSource } from "./matrix-source.js";
import { replaceFolder } from "./output-folder.js";
import { partsOf } from "./parts.js";
import { ShardWriter, type TensorBytes } from "./shards.js";
import { storedDtype } from "./stored-dtype.js";
import { storedValues } from "./stored-values.js";

export interface WriteModelOptions {
  /**
   * `plain`: ordinary safetensors with zeros in the types of the source, which other programs load.
   * `sparse`: the compact format, for Winnow only; other programs refuse it.
   */
  readonly form: "plain" | "sparse";
  /** What was done with which data; stored as JSON in the metadata of the weight files. */
  readonly provenance: JsonObject;
  /** Decodes matrices for the plain form. */
  readonly operations: Pick<Operations, "decodeWeight">;
  /** Replace a model folder that is there. */
  readonly overwrite?: boolean;
  /** Bytes of tensors in one weight file; more are split into shards with an index. Default 4 GiB. */
  readonly shardBytes?: number;
  readonly signal?: AbortSignal;
  /** Called after each tensor with the share that is done, 0..1. */
  readonly onProgress?: (share: number) => void;
}

export interface WrittenModel {
  /** Bytes of all tensors. */
  readonly tensorBytes: number;
  /** Matrices that were given. */
  readonly replaced: readonly string[];
}

/** Files of a model folder, apart from its weights, that go with it. */
const CARRIED = /\.(json|jinja|model|txt|tiktoken)$|^(LICENSE|NOTICE)/i;

/**
 * Writes a model folder: `source` with some of its matrices replaced. All other tensors and the files of configuration and tokenizer are carried along
 * byte for byte (matrices of an older sparse checkpoint become plain tensors); dense matrices become plain tensors in either form. The result appears under `out` as a whole or not at all. One tensor (or one layer, see
 * {@link MatrixSource}) is in memory at a time.
 *
 * A bias that a matrix brings replaces the model's, or is added, in the matrix's stored type. The sparse form holds any. The plain form can add biases only where a key of
 * config.json (`attention_bias`, `mlp_bias`) announces them for the whole family: the key is set and the other matrices of the family get zeros.
 *
 * Errors: `ERR_WEIGHT_FORMAT` for a matrix that the model lacks, of another shape, contradicting itself, or (plain) of a format that chooses while it runs or with a bias
 * that the architecture has no place for; `ERR_OUTPUT_FILE` for writing, and if `out` is not empty and may not be overwritten; `ERR_MODEL_FILE`, `ERR_MODEL_TENSOR` and
 * `ERR_MODEL_CONFIG` for the source; `ERR_CANCELLED`.
 */
export async function writeModel(
  out: string,
  source: ModelFolder,
  matrices: MatrixSource,
  options: WriteModelOptions,
): Promise<WrittenModel> {
  const config = readModelConfig(source);
  checkTensors(source, config);
  return replaceFolder(out, source.path, options.overwrite ?? false, async (folder) => {
    const { configKeys, ...written } = await new ModelWriter(folder, source, config, matrices, options).write();
    copyOtherFiles(source, folder, configKeys);
    const made = openModelFolder(folder);
    checkTensors(made, readModelConfig(made));
    return written;
  });
}

class ModelWriter {
  private readonly specs: ReadonlyMap<string, LinearSpec>;
  private readonly lookup: MatrixLookup;
  private readonly biases: BiasWriter;
  private readonly shards: ShardWriter;
  private readonly replaced: string[] = [];
  private readonly descriptions = new Map<string, MatrixDescription>();

  constructor(
    folder: string,
    private readonly source: ModelFolder,
    config: ModelConfig,
    matrices: MatrixSource,
    private readonly options: WriteModelOptions,
  ) {
    this.specs = linearSpecs(config);
    this.lookup = new MatrixLookup(matrices, this.specs);
    this.biases = new BiasWriter(source, config, options.form);
    this.shards = new ShardWriter({
      folder,
      limit: options.shardBytes ?? 4 * 2 ** 30,
      aligned: options.form === "sparse",
      headerRoom: headerRoom(source, this.specs, options),
      metadata: (groups) => this.metadata(groups),
    });
  }

  async write(): Promise<WrittenModel & { readonly configKeys: JsonObject }> {
    try {
      const names = orderedNames(this.source);
      for (const [index, name] of names.entries()) {
        // The turn of the event loop lets an interrupt arrive.
        await setImmediate();
        this.checkCancelled();
        this.shards.addGroup(name, await this.tensorsOf(name));
        this.options.onProgress?.((index + 1) / names.length);
      }
      for (const bias of this.biases.added()) this.shards.addGroup(bias.name, [bias]);
      return { tensorBytes: this.shards.finish(), replaced: this.replaced, configKeys: this.biases.configKeys() };
    } finally {
      this.shards.close();
    }
  }

  private async tensorsOf(name: string): Promise<readonly TensorBytes[]> {
    const owner = this.biases.ownerOf(name);
    if (owner !== undefined) {
      const { bias } = (await this.lookup.find(owner)) ?? {};
      return [this.biases.changed(owner, bias) ?? plainTensor(this.source, name)];
    }
    const given = await this.lookup.find(name);
    if (given) {
      this.replaced.push(name);
      this.biases.take(name, given.bias);
    }
    const compact = this.source.matrices.get(name);
    const weight = given ?? (compact && readMatrix(compact));
    if (!weight) return [plainTensor(this.source, name)];
    const dtype = storedDtype(this.source, name);
    if (this.options.form === "sparse" && isCompactWeight(weight)) return this.sections(name, weight, dtype);
    return [this.plain(name, weight, dtype)];
  }

  private sections(name: string, weight: CompactWeight, replaces: StoredFloat): readonly TensorBytes[] {
    const description = describeWeight(weight, replaces);
    const parts = partsOf(weight);
    checkContent(description, parts, (part, problem) => {
      throw formatError(`${name}.${part}`, problem);
    });
    this.descriptions.set(name, description);
    return sectionsOf(description).map(({ part, dtype, shape }) => {
      const data = parts.get(part) as NonNullable<ReturnType<typeof parts.get>>;
      const sizes = shape.map((size) => size ?? data.length);
      return { name: `${name}.${part}`, dtype, shape: sizes, bytes: bytesOf(data) };
    });
  }

  private plain(name: string, weight: LinearWeight, dtype: StoredFloat): TensorBytes {
    if (weight.format === "channels" || weight.format === "gated-rows") {
      throw formatError(name, `format ${weight.format} chooses while it runs and has no plain form; use form: sparse`);
    }
    const dense: DenseWeight = weight.format === "dense" ? weight : this.options.operations.decodeWeight(weight);
    const { outFeatures, inFeatures } = weight;
    return { name, dtype, shape: [outFeatures, inFeatures], bytes: storedValues(name, dense, dtype) };
  }

  private metadata(groups: readonly string[]): Record<string, string> {
    const { form, provenance } = this.options;
    const biases = form === "plain" ? [] : groups.filter((name) => this.biases.isAdded(name));
    const matrices =
      form === "plain"
        ? this.replaced.filter((name) => groups.includes(name))
        : Object.fromEntries([...this.descriptions].filter(([name]) => groups.includes(name)));
    const block = {
      formatVersion: versionFor(biases),
      form,
      matrices,
      ...(biases.length > 0 && { biases }),
      provenance,
    };
    return {
      ...firstMetadata(this.source),
      // Other programs load "pt" and refuse what they do not know.
      format: form === "plain" ? "pt" : BLOCK_KEY,
      [BLOCK_KEY]: JSON.stringify(block),
    };
  }

  private checkCancelled(): void {
    if (this.options.signal?.aborted) {
      throw new WinnowError("ERR_CANCELLED", "Writing the model was cancelled by the caller; nothing was written.");
    }
  }
}

/** By falling element size, so that plain tensors start aligned; then by layer, as the matrices come. */
function orderedNames(source: ModelFolder): readonly string[] {
  const width = (name: string) => bytesPerElement(storedDtype(source, name));
  const { tensors, matrices, bitmasks } = source;
  return [...tensors.keys(), ...matrices.keys(), ...bitmasks.keys()].sort(
    (a, b) => width(b) - width(a) || layerOf(a) - layerOf(b),
  );
}

function plainTensor(source: ModelFolder, name: string): TensorBytes {
  const bitmask = source.bitmasks.get(name);
  if (bitmask) return { name, dtype: bitmask.dtype, shape: bitmask.shape, bytes: readBitmask(bitmask) };
  const { file, entry } = source.tensors.get(name) as StoredTensor;
  return { name, dtype: entry.dtype, shape: entry.shape, bytes: readTensor(file, entry) };
}

function firstMetadata(source: ModelFolder): Readonly<Record<string, string>> {
  const [stored] = [...source.tensors.values(), ...source.matrices.values()];
  return stored.file.metadata;
}

function copyOtherFiles({ path, config, bitmasks }: ModelFolder, to: string, configKeys: JsonObject): void {
  for (const name of readdirSync(path)) {
    const carried = CARRIED.test(name) && !name.endsWith(".index.json");
    if (carried && statSync(join(path, name)).isFile()) copyFileSync(join(path, name), join(to, name));
  }
  if (bitmasks.size === 0 && Object.keys(configKeys).length === 0) return;
  // What comes out is no longer an older sparse checkpoint, and must not say so.
  const { quantization_config: _, compression_config: __, sparsity_config: ___, ...rest } = config;
  const kept = bitmasks.size > 0 ? rest : config;
  writeFileSync(join(to, "config.json"), `${JSON.stringify({ ...kept, ...configKeys }, null, 2)}\n`);
}
