import type { HeadTensor, ModelShape, PackedRows } from "@winnow/core";
import { allocateCache, allocatePacked, type LayerCache } from "../../engine/sequence.js";

/** Tokens that a cache grows by when it is full. */
export const GROWTH = 256;

/** The same tokens with room for `more`. O(capacity). */
export function grow(cache: LayerCache, shape: ModelShape, more: number): LayerCache {
  const dtype = cache.k instanceof Float32Array ? "f32" : "bf16";
  const grown = allocateCache(shape, dtype, cache.capacity + more);
  for (let head = 0; head < shape.kvHeads; head++) {
    const used = cache.lengths[head] * shape.headDim;
    const from = head * cache.capacity * shape.headDim;
    const to = head * grown.capacity * shape.headDim;
    grown.k.set(cache.k.subarray(from, from + used), to);
    grown.v.set(cache.v.subarray(from, from + used), to);
  }
  grown.lengths.set(cache.lengths);
  return { ...grown, ...(cache.compressed && { compressed: cache.compressed }) };
}

/**
 * Packed rows with room for `rows`. The first ones fit exactly, because most are compressed at the end of the prompt; later ones come by steps, and
 * rows that grow by an eighth are copied a few times only.
 */
export function withRoom(packed: PackedRows | undefined, rows: HeadTensor, kept: number): PackedRows {
  if (!packed) return allocatePacked(rows, rows.length, kept);
  const { length, capacity, headDim } = packed;
  if (length + rows.length <= capacity) return packed;
  const more = Math.max(rows.length, GROWTH, Math.ceil(length / 8));
  const grown = allocatePacked(rows, length + more, kept);
  const width = Math.ceil(headDim / 8);
  for (let head = 0; head < packed.heads; head++) {
    const [from, to] = [head * capacity, head * grown.capacity];
    grown.bitmap.set(packed.bitmap.subarray(from * width, (from + length) * width), to * width);
    grown.values.set(packed.values.subarray(from * kept, (from + length) * kept), to * kept);
  }
  return { ...grown, length };
}
