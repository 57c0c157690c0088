import type { FloatData, FloatDtype, HeadTensor, ModelShape } from "@winnow/core";

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

/** KV cache of one layer, `[hKv, capacity, d]` each, with the tokens stored per KV head. */
export interface LayerCache {
  readonly k: FloatData;
  readonly v: FloatData;
  readonly capacity: number;
  /** `[hKv]`; heads differ after a ragged eviction. */
  readonly lengths: Int32Array;
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

export function sharedFloats(dtype: FloatDtype, elements: number): FloatData {
  return dtype === "f32"
    ? new Float32Array(new SharedArrayBuffer(4 * elements))
    : new Uint16Array(new SharedArrayBuffer(2 * elements));
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
  return cache.k.byteLength + cache.v.byteLength;
}

/** Most tokens that any KV head stores. */
export function cachedTokens(cache: LayerCache): number {
  return cache.lengths.reduce((most, length) => Math.max(most, length), 0);
}
