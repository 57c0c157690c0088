import {
  type FloatData,
  type FloatDtype,
  type HeadTensor,
  type ModelShape,
  type PackedRows,
  sharedFloats,
} from "@winnow/core";

/**
 * One sequence between tasks: plain data over shared memory, so that any worker can go on with it.
 */
export interface SequenceState {
  readonly promptLength: number;
  /** Tokens seen: the position of the next token. */
  readonly position: number;
  readonly layers: LayerCache[];
  /** State of each planned KV pruner, in the plan's order. */
  readonly prunerStates: unknown[];
  /** `[vocab]`: logits after the last token seen. */
  readonly logits: Float32Array;
}

/** KV cache of one layer, `[hKv, capacity, d]` each, with the tokens stored per KV head. Tokens that a pruner compressed come before them. */
export interface LayerCache {
  readonly k: FloatData;
  readonly v: FloatData;
  readonly capacity: number;
  /** `[hKv]`; heads differ after a ragged eviction. */
  readonly lengths: Int32Array;
  readonly compressed?: CompressedCache;
}

/** As many tokens of K as of V, at least one; every KV head holds as many. */
export interface CompressedCache {
  readonly k: PackedRows;
  readonly v: PackedRows;
}

export function allocateCache(shape: ModelShape, dtype: FloatDtype, capacity: number): LayerCache {
  const elements = shape.kvHeads * capacity * shape.headDim;
  return {
    k: sharedFloats(dtype, elements),
    v: sharedFloats(dtype, elements),
    capacity,
    lengths: new Int32Array(new SharedArrayBuffer(4 * shape.kvHeads)),
  };
}

/** Room for `capacity` packed rows of each head of `rows`, none stored yet. */
export function allocatePacked(rows: HeadTensor, capacity: number, kept: number): PackedRows {
  const { dtype, heads, headDim } = rows;
  const bitmap = new Uint8Array(new SharedArrayBuffer(heads * capacity * Math.ceil(headDim / 8)));
  const values = sharedFloats(dtype, heads * capacity * kept);
  return { dtype, heads, length: 0, capacity, headDim, kept, bitmap, values };
}

/** Views of the first `length` tokens of a cache; no copy. */
export function cacheViews(cache: LayerCache, shape: ModelShape, length: number): { k: HeadTensor; v: HeadTensor } {
  const view = {
    dtype: cache.k instanceof Float32Array ? ("f32" as const) : ("bf16" as const),
    offset: 0,
    heads: shape.kvHeads,
    length,
    headDim: shape.headDim,
    headStride: cache.capacity * shape.headDim,
    tokenStride: shape.headDim,
  };
  return { k: { ...view, data: cache.k }, v: { ...view, data: cache.v } };
}

/** Bytes that a cache occupies. */
export function cacheBytes(cache: LayerCache): number {
  const packed = cache.compressed ? [cache.compressed.k, cache.compressed.v] : [];
  const packedBytes = packed.reduce((sum, { bitmap, values }) => sum + bitmap.byteLength + values.byteLength, 0);
  return cache.k.byteLength + cache.v.byteLength + packedBytes;
}

/** Tokens of each KV head that are stored compressed. */
export function compressedTokens(cache: LayerCache): number {
  return cache.compressed?.k.length ?? 0;
}

/** Most tokens that any KV head stores uncompressed. */
export function cachedTokens(cache: LayerCache): number {
  return cache.lengths.reduce((most, length) => Math.max(most, length), 0);
}
