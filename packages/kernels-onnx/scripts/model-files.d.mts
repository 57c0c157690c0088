import type { BaselineModel } from "../src/decoder-graph.js";

export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

export function readSafetensors(path: string): Map<string, StoredTensor>;
export function readLlama(folder: string): BaselineModel;
