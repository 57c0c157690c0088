import { type LinearWeight, WinnowError } from "@winnow/core";
import type { LinearSpec } from "../tensor-layout.js";

/**
 * Matrices to write by the name of their tensor (`model.layers.0.mlp.up_proj.weight`), or a function that gives those of one layer, so that only
 * one layer is in memory. The function is called by ascending layer; where a layer's tensors have types of different sizes, more than once.
 */
export type MatrixSource =
  | ReadonlyMap<string, LinearWeight>
  | ((layer: number) => ReadonlyMap<string, LinearWeight> | Promise<ReadonlyMap<string, LinearWeight>>);

/** Layer that a tensor belongs to; -1 for the embedding, the last norm and the head. */
export function layerOf(name: string): number {
  return Number(/^model\.layers\.(\d+)\./.exec(name)?.[1] ?? -1);
}

/** Looks matrices up, one layer at a time, and checks that the model has them in this shape. */
export class MatrixLookup {
  private layer = -1;
  private loaded: ReadonlyMap<string, LinearWeight> = new Map();

  constructor(
    private readonly source: MatrixSource,
    private readonly specs: ReadonlyMap<string, LinearSpec>,
  ) {
    if (typeof source !== "function") this.loaded = this.checked(source);
  }

  async find(name: string): Promise<LinearWeight | undefined> {
    const layer = layerOf(name);
    if (typeof this.source === "function" && layer !== this.layer && layer >= 0) {
      this.loaded = new Map();
      this.loaded = this.checked(await this.source(layer), layer);
      this.layer = layer;
    }
    return this.loaded.get(name);
  }

  private checked(matrices: ReadonlyMap<string, LinearWeight>, layer?: number): ReadonlyMap<string, LinearWeight> {
    for (const [name, weight] of matrices) {
      const spec = this.specs.get(name);
      if (!spec || (layer !== undefined && layerOf(name) !== layer)) {
        const place = layer === undefined ? "the model" : `layer ${layer}`;
        throw formatError(name, `${place} has no such matrix`);
      }
      const { outFeatures, inFeatures } = weight;
      if (outFeatures !== spec.outFeatures || inFeatures !== spec.inFeatures) {
        const expected = `[${spec.outFeatures}, ${spec.inFeatures}]`;
        throw formatError(name, `its shape must be ${expected}, got [${outFeatures}, ${inFeatures}]`);
      }
    }
    return matrices;
  }
}

export function formatError(name: string, problem: string): WinnowError {
  return new WinnowError("ERR_WEIGHT_FORMAT", `Cannot write "${name}": ${problem}.`);
}
