import type { FloatData, FloatDtype } from "./tensor.js";

interface WeightShape {
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** `[outFeatures]`. */
  readonly bias?: Float32Array;
}

/** Row-major `[outFeatures, inFeatures]`, as model files store it. */
export interface DenseWeight extends WeightShape {
  readonly format: "dense";
  readonly dtype: FloatDtype;
  readonly data: FloatData;
}

/**
 * Panels of 16 output features, zero-padded, the layout that vector kernels read sequentially:
 * `f32`: `[ceil(out / 16)][in][16]`; `bf16`: `[ceil(out / 16)][ceil(in / 2)][16][2]` (input pairs adjacent).
 *
 * Arithmetic follows the type: with `bf16`, activations are rounded to bf16 and products are accumulated in float32;
 * with `f32` everything is float32.
 */
export interface DensePanelWeight extends WeightShape {
  readonly format: "dense-panel16";
  readonly dtype: FloatDtype;
  readonly data: FloatData;
}

/**
 * Dense int8, `[ceil(out / 16)][ceil(in / 4)][16][4]` (input quads adjacent), zero-padded; weight (o, i) is `scales[o] * data`.
 *
 * Arithmetic: each row of x is quantised to `q = round(x / s)`, ties to even, with `s = max|x| / 127` (all zeros: q = 0); the sum of q * data is exact in int32;
 * `out = bias + (s * scales[o]) * sum`. `inFeatures` is at most 2^17, so that the sum cannot overflow.
 */
export interface Int8PanelWeight extends WeightShape {
  readonly format: "int8-panel16";
  readonly dtype: "int8";
  readonly data: Int8Array;
  /** `[outFeatures]`: max|w| of the row / 127. */
  readonly scales: Float32Array;
  /** `[outFeatures]`: sum of the row's `data`. */
  readonly sums: Int32Array;
}

/**
 * Only the weights that are not zero, with one bit for each weight. Element e of the padded layout that the same type has when dense
 * (`bf16`: dense-panel16, `int8`: int8-panel16) is stored if bit `e % 32` of `bitmap[floor(e / 32)]` is set; `values` holds the stored ones in that order.
 * Arithmetic, order of sums and therefore the bits of the result are those of the dense format. Zero is what rounds to 0 in the stored type; the padding of a
 * layout is never stored, and all parts have exact lengths.
 */
export interface BitmapWeight extends WeightShape {
  readonly format: "bitmap";
  readonly dtype: "bf16" | "int8";
  readonly bitmap: Uint32Array;
  /** The stored values, then 64 bytes of zeros, so that a vector load never leaves the buffer. */
  readonly values: Uint16Array | Int8Array;
  /** `[ceil(out / 16) + 1]`: where the values of each panel start; the last entry is their number. */
  readonly offsets: Uint32Array;
  /** int8 only, as in {@link Int8PanelWeight}. */
  readonly scales?: Float32Array;
  readonly sums?: Int32Array;
}

/**
 * N:M: of each `of` neighbours along a row, at most `keep` stay, in ascending order. `of` is 2, 4, 8 or 16.
 * With G = ceil(in / of) groups: `values` is bf16 `[ceil(out / 16)][G][keep][16]` (missing ones are 0), `places` is
 * `[ceil(out / 16)][G][keep][words]`, where the place inside the group of output o stands in `bits` bits from bit `bits * (o % 16)` on;
 * `of` <= 4: 2 bits and one word, otherwise 4 bits and two words. Missing slots come last and hold value 0 and place 0.
 *
 * Arithmetic: x is rounded to bf16; `sum = fma(value, x[place], sum)` in float32, groups and slots in turn, starting at bias.
 */
export interface GroupsWeight extends WeightShape {
  readonly format: "groups";
  readonly dtype: "bf16";
  readonly keep: number;
  readonly of: number;
  readonly values: Uint16Array;
  readonly places: Uint32Array;
}

/** Which of the entries of a vector matter; the rest is skipped. Ties go to the lower index. */
export type Selection =
  /** `|x_j| * scale_j > threshold_j`; one threshold for all, or one for each entry. */
  | { readonly rule: "threshold"; readonly thresholds: Float32Array; readonly scale?: Float32Array }
  /** The `keep` entries with the largest `|x_j| * scale_j`; entries that are 0 are never among them. */
  | { readonly rule: "largest"; readonly keep: number; readonly scale?: Float32Array };

/** Stands in for the input channels that a {@link ChannelsWeight} skips: `W ~ (inputs * outputs)^T`, from a truncated SVD of W = U S V^T. */
export interface LowRankFactors {
  readonly rank: number;
  readonly dtype: FloatDtype;
  /** `[in, rank]`: V * S. */
  readonly inputs: FloatData;
  /** `[rank, out]`: U^T. */
  readonly outputs: FloatData;
}

/**
 * Transposed, `[in, out]`, one contiguous row for each input channel; of a sparse row of x only the selected channels are multiplied:
 * `out = bias + sum over selected j of x_j * data[j] + outputs^T (inputs^T x_rest)`, x_rest being x with the selected entries set to 0.
 * All sums are float32 by FMA with j ascending, x is not rounded.
 */
export interface ChannelsWeight extends WeightShape {
  readonly format: "channels";
  readonly dtype: FloatDtype;
  readonly data: FloatData;
  readonly selection: Selection;
  readonly lowRank?: LowRankFactors;
}

/**
 * The up projection of a gated MLP, row-major `[out, in]`; of a sparse row only the outputs are computed whose activated gate is selected
 * (`DenseOperations.gatedLinear`); plain `linear` multiplies the whole matrix.
 */
export interface GatedRowsWeight extends WeightShape {
  readonly format: "gated-rows";
  readonly dtype: FloatDtype;
  readonly data: FloatData;
  readonly selection: Selection;
}

/** Every weight format that some kernel runs. Kernels declare which they take. Plain data, in shared memory once it is loaded. */
export type LinearWeight =
  | DenseWeight
  | DensePanelWeight
  | Int8PanelWeight
  | BitmapWeight
  | GroupsWeight
  | ChannelsWeight
  | GatedRowsWeight;

export type LinearFormat = LinearWeight["format"];

/** Formats that `DenseOperations.encodeWeight` makes from a dense weight. */
export type WeightTarget =
  | { readonly format: "dense-panel16"; readonly dtype: FloatDtype }
  | { readonly format: "int8-panel16" }
  | { readonly format: "bitmap"; readonly dtype: "bf16" | "int8" }
  | { readonly format: "groups"; readonly keep: number; readonly of: number };

/** Output features that the panel formats keep together. */
export const PANEL = 16;

/** Number of elements of the `data` of a {@link DensePanelWeight} or an {@link Int8PanelWeight}. */
export function panelElements(dtype: FloatDtype | "int8", outFeatures: number, inFeatures: number): number {
  return Math.ceil(outFeatures / PANEL) * PANEL * paddedInputs(dtype, inFeatures);
}

/** `inFeatures` rounded up to what one lane of a panel holds. */
export function paddedInputs(dtype: FloatDtype | "int8", inFeatures: number): number {
  const together = { f32: 1, bf16: 2, int8: 4 }[dtype];
  return Math.ceil(inFeatures / together) * together;
}

/** Place of weight (o, i) in a panel layout. */
export function panelIndex(dtype: FloatDtype | "int8", inFeatures: number, o: number, i: number): number {
  const together = { f32: 1, bf16: 2, int8: 4 }[dtype];
  const step = Math.floor(o / PANEL) * Math.ceil(inFeatures / together) + Math.floor(i / together);
  return (step * PANEL + (o % PANEL)) * together + (i % together);
}

/** Bits of one place in a {@link GroupsWeight}, and 32-bit words of 16 of them. */
export function placeBits(of: number): { readonly bits: 2 | 4; readonly words: 1 | 2 } {
  return of <= 4 ? { bits: 2, words: 1 } : { bits: 4, words: 2 };
}

/** Bytes of everything that a product with this weight can read, bias included. */
export function weightBytes(weight: LinearWeight): number {
  const parts: (ArrayBufferView | undefined)[] = [weight.bias];
  switch (weight.format) {
    case "bitmap":
      parts.push(weight.bitmap, weight.values, weight.offsets, weight.scales, weight.sums);
      break;
    case "groups":
      parts.push(weight.values, weight.places);
      break;
    case "int8-panel16":
      parts.push(weight.data, weight.scales, weight.sums);
      break;
    case "channels":
      parts.push(weight.data, weight.lowRank?.inputs, weight.lowRank?.outputs);
      break;
    default:
      parts.push(weight.data);
  }
  return parts.reduce((sum, part) => sum + (part?.byteLength ?? 0), 0);
}
