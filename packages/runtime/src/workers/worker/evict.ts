import { type KeptTokens, WinnowError } from "@winnow/core";
import { allocateCache, cacheViews, type LayerCache } from "../../engine/sequence.js";
import type { Session } from "./session.js";

/** A new cache with only the kept tokens and room for `reserve` more; the old one can be freed. */
export function evict(
  session: Session,
  plugin: string,
  cache: LayerCache,
  kept: KeptTokens,
  reserve: number,
): LayerCache {
  const { shape } = session.plan.model;
  checkKept(plugin, cache, kept);
  const most = longest(kept);
  const target = allocateCache(shape, session.plan.precision, most + reserve);
  moveKept(session, cache, kept, target);
  return target;
}

/** Moves the kept tokens to the front of the same cache. */
export function evictInPlace(session: Session, plugin: string, cache: LayerCache, kept: KeptTokens): void {
  if (cache.compressed) {
    throw new WinnowError(
      "ERR_PLUGIN_RESULT",
      `Plugin "${plugin}" evicts tokens of a layer that holds compressed ones, which stay as they are. Evict at the end of the prompt, before compress, or compress in other layers.`,
      { plugin },
    );
  }
  checkKept(plugin, cache, kept);
  moveKept(session, cache, kept, cache);
}

/** Moves the kept tokens of `source` to the front of `target`, which may be the same cache. */
export function moveKept(session: Session, source: LayerCache, kept: KeptTokens, target: LayerCache): void {
  const { shape } = session.plan.model;
  const from = cacheViews(source, shape, source.capacity);
  const to = cacheViews(target, shape, target.capacity);
  session.operations.gatherTokens(from.k, kept.indices, kept.offsets, to.k);
  session.operations.gatherTokens(from.v, kept.indices, kept.offsets, to.v);
  for (let head = 0; head < shape.kvHeads; head++) target.lengths[head] = kept.offsets[head + 1] - kept.offsets[head];
}

function longest(kept: KeptTokens): number {
  let most = 0;
  for (let head = 0; head + 1 < kept.offsets.length; head++)
    most = Math.max(most, kept.offsets[head + 1] - kept.offsets[head]);
  return most;
}

/** Throws `ERR_PLUGIN_RESULT` for kept tokens that do not fit the cache. O(indices). */
export function checkKept(plugin: string, cache: Pick<LayerCache, "lengths">, kept: KeptTokens): void {
  const { indices, offsets } = kept;
  const heads = cache.lengths.length;
  const fail = (what: string): never => {
    throw new WinnowError(
      "ERR_PLUGIN_RESULT",
      `Plugin "${plugin}" returned kept tokens that do not fit the cache: ${what}.`,
      { plugin },
    );
  };
  if (!(indices instanceof Int32Array) || !(offsets instanceof Int32Array))
    fail("indices and offsets must be Int32Array");
  if (offsets.length !== heads + 1 || offsets[0] !== 0 || offsets[heads] !== indices.length) {
    fail(`offsets must hold ${heads + 1} entries from 0 to ${indices.length}, got ${offsets}`);
  }
  for (let head = 0; head < heads; head++) {
    if (offsets[head + 1] <= offsets[head]) fail(`KV head ${head} keeps no token; every head must keep at least one`);
    for (let at = offsets[head], previous = -1; at < offsets[head + 1]; previous = indices[at++]) {
      if (indices[at] <= previous || indices[at] >= cache.lengths[head]) {
        fail(
          `KV head ${head} has index ${indices[at]} after ${previous}; indices must ascend within [0, ${cache.lengths[head]})`,
        );
      }
    }
  }
}
