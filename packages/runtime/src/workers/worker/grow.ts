import type { ModelShape } from "@winnow/core";
import { allocateCache, type LayerCache } from "../../engine/sequence.js";

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
  return grown;
}
