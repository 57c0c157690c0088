import {
  type CompressedTokens,
  type HeadTensor,
  type KeptElements,
  type KvPruner,
  type PackedRows,
  sliceTokens,
  WinnowError,
} from "@winnow/core";
import {
  allocateCache,
  type CompressedCache,
  cachedTokens,
  cacheViews,
  compressedTokens,
  type LayerCache,
} from "../../engine/sequence.js";
import { guardPlugin } from "../../registry/guard-plugin.js";
import { moveKept } from "./evict.js";
import { withRoom } from "./grow.js";
import { pluginOperations, type Session } from "./session.js";

export interface CompressStep {
  readonly id: string;
  readonly pruner: KvPruner;
  readonly state: unknown;
  readonly layer: number;
  /** Absent at the end of the prompt. */
  readonly step?: number;
  /** Room for this many more tokens beside those that stay uncompressed. */
  readonly reserve: number;
}

/** Asks a pruner what to compress and does it. The result may be the same cache; memory of the tokens that left it can be freed if it is another. */
export function compressLayer(session: Session, cache: LayerCache, task: CompressStep): LayerCache {
  const { id, pruner, state, layer, step } = task;
  if (!pruner.compress) return cache;
  const { shape } = session.plan.model;
  const { k, v } = cacheViews(cache, shape, cachedTokens(cache));
  const context = {
    model: shape,
    layer,
    k,
    v,
    ...(step !== undefined && { step }),
    compressed: compressedTokens(cache),
    primitives: pluginOperations(session.operations),
  };
  const result = guardPlugin(id, "compress", () => pruner.compress?.(context, state));
  if (!result) return cache;
  checkCompressed(id, { ...cache, headDim: shape.headDim }, result);
  const [oldK, oldV] = [sliceTokens(k, 0, result.count), sliceTokens(v, 0, result.count)];
  const compressed = {
    k: append(session, cache.compressed?.k, oldK, result.k),
    v: append(session, cache.compressed?.v, oldV, result.v),
  };
  return { ...withoutOldest(session, cache, result.count, task.reserve), compressed };
}

function append(
  session: Session,
  before: PackedRows | undefined,
  rows: HeadTensor,
  elements: KeptElements,
): PackedRows {
  const target = withRoom(before, rows, elements.kept);
  session.operations.packTokens(rows, elements, target, target.length);
  return { ...target, length: target.length + rows.length };
}

/** The tokens that stay, in a smaller cache where that saves memory. */
function withoutOldest(session: Session, cache: LayerCache, count: number, reserve: number): LayerCache {
  const { shape } = session.plan.model;
  const rest = cache.lengths[0] - count;
  const smaller = rest + reserve < cache.capacity;
  const target = smaller ? allocateCache(shape, session.plan.precision, rest + reserve) : cache;
  const indices = Int32Array.from({ length: shape.kvHeads * rest }, (_, i) => count + (i % rest));
  const offsets = Int32Array.from({ length: shape.kvHeads + 1 }, (_, head) => head * rest);
  moveKept(session, cache, { indices, offsets }, target);
  return target;
}

/** What compressed tokens must fit. */
export interface CompressLimits {
  /** Uncompressed tokens per KV head. */
  readonly lengths: Int32Array;
  readonly headDim: number;
  readonly compressed?: CompressedCache;
}

/** Throws `ERR_PLUGIN_RESULT` for compressed tokens that do not fit the cache. O(indices). */
export function checkCompressed(plugin: string, limits: CompressLimits, result: CompressedTokens): void {
  const fail = (what: string): never => {
    throw new WinnowError(
      "ERR_PLUGIN_RESULT",
      `Plugin "${plugin}" returned compressed tokens that do not fit the cache: ${what}.`,
      { plugin },
    );
  };
  const { lengths, compressed } = limits;
  if (typeof result !== "object" || result === null) fail(`it must be an object, got ${result}`);
  if (lengths.some((length) => length !== lengths[0]))
    fail(`KV heads hold ${[...lengths].join(", ")} tokens; compress only where all hold as many`);
  const most = lengths[0] - 1;
  if (!Number.isInteger(result.count) || result.count < 1 || result.count > most)
    fail(
      `count must be in 1..${most}, so that a token stays uncompressed, got ${result.count}; return undefined for none`,
    );
  for (const part of ["k", "v"] as const) {
    checkElements(part, result[part], { ...limits, count: result.count }, fail);
    const before = compressed?.[part].kept;
    if (before !== undefined && result[part].kept !== before)
      fail(`${part} keeps ${result[part].kept} elements of each row, but the rows compressed before keep ${before}`);
  }
}

function checkElements(
  part: string,
  elements: KeptElements,
  { lengths, headDim, count }: CompressLimits & { readonly count: number },
  fail: (what: string) => never,
): void {
  const { kept, indices } = elements ?? {};
  if (!Number.isInteger(kept) || kept < 1 || kept > headDim) fail(`${part}.kept must be in 1..${headDim}, got ${kept}`);
  if (!(indices instanceof Uint16Array) || indices.length !== lengths.length * count * kept)
    fail(`${part}.indices must be a Uint16Array of ${lengths.length} x ${count} x ${kept}, got ${indices?.length}`);
  for (let at = 0; at < indices.length; at++) {
    const previous = at % kept === 0 ? -1 : indices[at - 1];
    if (indices[at] > previous && indices[at] < headDim) continue;
    const row = Math.floor(at / kept);
    const place = `KV head ${Math.floor(row / count)}, token ${row % count}`;
    fail(
      `${part} of ${place} has element ${indices[at]} after ${previous}; elements must ascend within [0, ${headDim})`,
    );
  }
}
