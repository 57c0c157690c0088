import type { FloatData, FloatDtype } from "./tensor.js";

/** Row-major `[outFeatures, inFeatures]`, as model files store it. */
export interface DenseWeight {
  readonly format: "dense";
  readonly dtype: FloatDtype;
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly data: FloatData;
  /** `[outFeatures]`. */
  readonly bias?: Float32Array;
}

/**
 * Panels of 16 output features, zero-padded, the layout that vector kernels read sequentially:
 * `f32`: `[ceil(out / 16)][in][16]`; `bf16`: `[ceil(out / 16)][ceil(in / 2)][16][2]` (input pairs adjacent).
 *
 * Arithmetic follows the type: with `bf16`, activations are rounded to bf16 and products are accumulated in float32;
 * with `f32` everything is float32.
 */
export interface DensePanelWeight {
  readonly format: "dense-panel16";
  readonly dtype: FloatDtype;
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly data: FloatData;
  readonly bias?: Float32Array;
}

/** Every weight format that some kernel runs. A weight sparsifier produces one of these; kernels declare which they take. */
export type LinearWeight = DenseWeight | DensePanelWeight;

export type LinearFormat = LinearWeight["format"];

/** Number of elements of the `data` of a {@link DensePanelWeight}. */
export function panelElements(dtype: FloatDtype, outFeatures: number, inFeatures: number): number {
  const panels = Math.ceil(outFeatures / 16);
  return dtype === "bf16" ? panels * Math.ceil(inFeatures / 2) * 32 : panels * inFeatures * 16;
}
