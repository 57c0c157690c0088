import type { FloatData, FloatDtype } from "./tensor.js";

/**
 * Cached rows of which only some elements are stored: token t of head g keeps `kept` of its `headDim` elements, the others are 0.
 * Every row keeps as many, so rows are found without offsets. Bytes of a row: headDim / 8, rounded up, plus `kept` values (2 bytes each for bf16).
 */
export interface PackedRows {
  readonly dtype: FloatDtype;
  readonly heads: number;
  /** Tokens stored for every head. */
  readonly length: number;
  /** Tokens that each head has room for. */
  readonly capacity: number;
  readonly headDim: number;
  readonly kept: number;
  /** `[heads, capacity, ceil(headDim / 8)]`: element c is stored if bit `c % 8` of byte `floor(c / 8)` is set; unused bits are 0. */
  readonly bitmap: Uint8Array;
  /** `[heads, capacity, kept]`: the stored elements in ascending order. */
  readonly values: FloatData;
}

/** Which elements of a run of rows are kept. */
export interface KeptElements {
  /** Elements kept of each row, 1..d. */
  readonly kept: number;
  /** `[hKv, count, kept]`: ascending within each row, below d. */
  readonly indices: Uint16Array;
}
