import {
  type CancelFlag,
  type DenseWeight,
  dtypeOf,
  type FloatData,
  type FloatDtype,
  type LinearWeight,
  type Operations,
  WinnowError,
} from "@winnow/core";
import { readBitmask } from "./bitmask.js";
import { type CompactMatrix, readMatrix } from "./compact/matrix.js";
import type { ModelConfig } from "./config.js";
import { asFloatData, copyShared, findNonFinite, type StoredFloat } from "./float-convert.js";
import type { ModelFolder, StoredTensor } from "./folder.js";
import { readTensor } from "./safetensors.js";
import {
  checkTensors,
  EMBEDDING,
  FINAL_NORM,
  HEAD,
  type LayerSpec,
  type LinearSpec,
  layerSpec,
  requiredTensors,
  type VectorSpec,
} from "./tensor-layout.js";

/** Weights of one layer, in the decoder's order. Norm weights are float32. */
export interface LayerWeights {
  /** `[hiddenSize]`. */
  readonly attentionNorm: Float32Array;
  readonly q: LinearWeight;
  readonly k: LinearWeight;
  readonly v: LinearWeight;
  readonly o: LinearWeight;
  /** `[headDim]`, where the architecture normalises q and k. */
  readonly qNorm?: Float32Array;
  readonly kNorm?: Float32Array;
  /** `[hiddenSize]`. */
  readonly mlpNorm: Float32Array;
  readonly gate: LinearWeight;
  readonly up: LinearWeight;
  readonly down: LinearWeight;
}

/** The matrices of a layer: where weight sparsity can enter. */
export type LinearRole = "q" | "k" | "v" | "o" | "gate" | "up" | "down";

/** Plain data on shared memory: posted to another thread, it is shared and not copied. */
export interface ModelWeights {
  /** Row-major `[vocabSize, hiddenSize]`. */
  readonly embedding: FloatData;
  readonly layers: readonly LayerWeights[];
  /** `[hiddenSize]`. */
  readonly finalNorm: Float32Array;
  readonly head: LinearWeight;
}

/** All matrices, layer by layer, then the head. */
export function linearWeights({ layers, head }: ModelWeights): LinearWeight[] {
  return [...layers.flatMap(({ q, k, v, o, gate, up, down }) => [q, k, v, o, gate, up, down]), head];
}

export interface LoadProgress {
  readonly tensorsDone: number;
  readonly tensors: number;
}

export interface LoadOptions {
  /** Type of the matrices. `bf16` halves memory; a BF16 file then loses nothing. */
  readonly precision: FloatDtype;
  /** Called after each tensor. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Looked at before each tensor. */
  readonly cancel?: CancelFlag;
  /** Lays out the matrices of layers; the head and, without it, all are packed dense. The memory of the given weight is used again. */
  readonly packMatrix?: (weight: DenseWeight) => LinearWeight;
}

/**
 * Reads all weights of a folder, checks them and lays them out for the kernels.
 *
 * The embedding table is bf16 where the file or `precision` is, otherwise float32. A tied head is a second, packed copy of it unless the
 * kernels take dense weights as they are. Peak memory: the result and two copies of the largest tensor (as read, and as packed).
 *
 * Matrices in the compact format come back in that format, read into shared memory as they stand.
 *
 * Errors: `ERR_MODEL_TENSOR` for a missing, superfluous, misshapen or non-finite tensor, or a compact matrix that contradicts itself;
 * `ERR_PLAN_CONFLICT` for bitmap, groups and int8 matrices with precision f32; `ERR_MODEL_FILE` for reading; `ERR_CANCELLED`.
 */
export function loadWeights(
  folder: ModelFolder,
  config: ModelConfig,
  ops: Pick<Operations, "packWeight">,
  options: LoadOptions,
): ModelWeights {
  checkTensors(folder, config);
  const loader = new WeightLoader(folder, ops, options, requiredTensors(config).size);
  const embedding = loader.table(EMBEDDING);
  return {
    embedding,
    layers: Array.from({ length: config.layers }, (_, layer) => readLayer(loader, layerSpec(config, layer))),
    finalNorm: loader.vector({ name: FINAL_NORM, length: config.hiddenSize }),
    head: loadHead(loader, config, embedding),
  };
}

/** One layer alone, for work that goes through a model layer by layer; otherwise as {@link loadWeights}, whose check of all tensors is left to the caller. */
export function loadLayer(
  folder: ModelFolder,
  config: ModelConfig,
  ops: Pick<Operations, "packWeight">,
  layer: number,
  options: LoadOptions,
): LayerWeights {
  const spec = layerSpec(config, layer);
  return readLayer(new WeightLoader(folder, ops, options, Object.keys(spec).length), spec);
}

/** The embedding table alone, as {@link loadWeights} lays it out. */
export function loadEmbedding(
  folder: ModelFolder,
  ops: Pick<Operations, "packWeight">,
  options: LoadOptions,
): FloatData {
  return new WeightLoader(folder, ops, options, 1).table(EMBEDDING);
}

function readLayer(loader: WeightLoader, spec: LayerSpec): LayerWeights {
  return {
    attentionNorm: loader.vector(spec.attentionNorm),
    q: loader.matrix(spec.q),
    k: loader.matrix(spec.k),
    v: loader.matrix(spec.v),
    o: loader.matrix(spec.o),
    ...(spec.qNorm && { qNorm: loader.vector(spec.qNorm) }),
    ...(spec.kNorm && { kNorm: loader.vector(spec.kNorm) }),
    mlpNorm: loader.vector(spec.mlpNorm),
    gate: loader.matrix(spec.gate),
    up: loader.matrix(spec.up),
    down: loader.matrix(spec.down),
  };
}

function loadHead(loader: WeightLoader, config: ModelConfig, embedding: FloatData): LinearWeight {
  const shape = { outFeatures: config.vocabSize, inFeatures: config.hiddenSize };
  if (!config.tiedEmbeddings) return loader.linear({ weight: HEAD, ...shape });
  const table: DenseWeight = { format: "dense", dtype: dtypeOf(embedding), ...shape, data: embedding };
  const packed = loader.pack(table);
  return packed.format === "dense" && packed.dtype === table.dtype ? table : packed;
}

interface StoredBytes {
  readonly dtype: StoredFloat;
  readonly shape: readonly number[];
  readonly path: string;
  readonly bytes: Uint8Array;
}

class WeightLoader {
  private scratch = new Uint8Array(0);
  private tensorsDone = 0;

  constructor(
    private readonly folder: ModelFolder,
    private readonly ops: Pick<Operations, "packWeight">,
    private readonly options: LoadOptions,
    private readonly tensors: number,
  ) {}

  pack(weight: DenseWeight): LinearWeight {
    return this.ops.packWeight(weight, this.options.precision);
  }

  /** A matrix of a layer. */
  matrix(spec: LinearSpec): LinearWeight {
    return this.linear(spec, this.options.packMatrix);
  }

  linear(spec: LinearSpec, pack = (weight: DenseWeight) => this.pack(weight)): LinearWeight {
    const bias = spec.bias === undefined ? undefined : this.vector({ name: spec.bias, length: spec.outFeatures });
    const matrix = this.folder.matrices.get(spec.weight);
    if (matrix) return this.compact(matrix, bias);
    const data = this.read(spec.weight);
    const { outFeatures, inFeatures } = spec;
    return pack({ format: "dense", dtype: dtypeOf(data), outFeatures, inFeatures, data, ...(bias && { bias }) });
  }

  /** A compact matrix runs as it stands; no copy is made and nothing is packed. */
  private compact(matrix: CompactMatrix, bias: Float32Array | undefined): LinearWeight {
    this.checkCancelled();
    checkPrecision(matrix, this.options.precision);
    const weight = readMatrix(matrix, bias);
    this.countTensor();
    return weight;
  }

  vector(spec: VectorSpec): Float32Array {
    return copyShared(this.read(spec.name, "f32"), "f32");
  }

  table(name: string): FloatData {
    const data = this.read(name);
    return copyShared(data, this.options.precision === "bf16" ? "bf16" : dtypeOf(data));
  }

  /** Checked values of a tensor; they live in the scratch buffer until the next call. */
  private read(name: string, target: FloatDtype = this.options.precision): FloatData {
    this.checkCancelled();
    const stored = this.readBytes(name);
    const bad = findNonFinite(stored.dtype, stored.bytes, target);
    if (bad >= 0) throw nonFinite(name, stored, bad, target);
    const values = asFloatData(stored.dtype, stored.bytes);
    this.countTensor();
    return values;
  }

  private readBytes(name: string): StoredBytes {
    const bitmask = this.folder.bitmasks.get(name);
    if (bitmask) return { ...bitmask, path: bitmask.compressed.file.path, bytes: readBitmask(bitmask) };
    const { file, entry } = this.folder.tensors.get(name) as StoredTensor;
    if (this.scratch.length < entry.byteLength) this.scratch = new Uint8Array(entry.byteLength);
    const bytes = readTensor(file, entry, this.scratch.subarray(0, entry.byteLength));
    return { dtype: entry.dtype as StoredFloat, shape: entry.shape, path: file.path, bytes };
  }

  private countTensor(): void {
    this.options.onProgress?.({ tensorsDone: ++this.tensorsDone, tensors: this.tensors });
  }

  private checkCancelled(): void {
    const { cancel } = this.options;
    if (cancel && Atomics.load(cancel, 0) !== 0) {
      throw new WinnowError("ERR_CANCELLED", `Loading "${this.folder.path}" was cancelled by the caller.`);
    }
  }
}

function checkPrecision({ name, file, description }: CompactMatrix, precision: FloatDtype): void {
  const { format, dtype } = description;
  if (precision === "bf16" || format === "channels" || format === "gated-rows") return;
  throw new WinnowError(
    "ERR_PLAN_CONFLICT",
    `Cannot load "${name}" of "${file.path}" with precision f32: it is stored as ${format} ${dtype}, whose kernels compute in ${dtype}. Set precision: bf16, or use the plain form of the model.`,
  );
}

function nonFinite(name: string, { path, shape }: StoredBytes, index: number, target: FloatDtype): WinnowError {
  let rest = index;
  const place = shape.toReversed().map((size) => {
    const coordinate = rest % size;
    rest = Math.floor(rest / size);
    return coordinate;
  });
  return new WinnowError(
    "ERR_MODEL_TENSOR",
    `Cannot use tensor "${name}" of "${path}": all values must be finite in ${target}, but [${place.reverse().join(", ")}] is not. The file is damaged or its training diverged; download it again.`,
  );
}
