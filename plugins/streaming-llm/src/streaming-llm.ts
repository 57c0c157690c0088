import type { DecodeContext, KeptTokens, KvPruner, ReadPlan } from "@winnow/core";
import { evictAfterStep } from "./evict.js";
import type { StreamingLlmOptions } from "./options.js";

/**
 * StreamingLLM (arXiv 2309.17453, Section 3.2, Figure 4): the cache keeps the first `sinkTokens` and the last `recentTokens` tokens, the same
 * for all layers and heads. The prompt is attended as one causal block and evicted afterwards; then the cache is cut after each token, so that a
 * step attends to at most sinkTokens + recentTokens + 1 tokens, however long the text is.
 *
 * With positions `cache`, positions are counted inside the cache; with `original` only the eviction is done.
 */
export function streamingLlm({ positions, ...window }: StreamingLlmOptions): KvPruner<null> {
  const evict = (length: number, kvHeads: number) => forEveryHead(evictAfterStep(length, window), kvHeads);
  return {
    createState: () => null,
    afterPrefill: ({ k }) => evict(k.length, k.heads),
    ...(positions === "cache" && { select: (context) => readByCachePosition(context, window.sinkTokens) }),
    afterAttention: ({ length, k }) => evict(length, k.heads),
  };
}

/**
 * The reference stores keys before RoPE and rotates the whole cache in each step. RoPE sees differences of positions only, so rotating the query
 * suffices: recent tokens are neighbours in the text as they are in the cache, and their distances to the query are right as stored;
 * sinks stand at the same position in the cache as in the text, so against them the query is placed at the end of the cache.
 */
function readByCachePosition({ length, position }: DecodeContext, sinkTokens: number): ReadPlan {
  const nothingEvicted = length === position + 1;
  if (nothingEvicted || sinkTokens === 0) return { read: "all" };
  return {
    read: "parts",
    parts: [
      { start: 0, end: sinkTokens, queryPosition: length - 1 },
      { start: sinkTokens, end: length, queryPosition: position },
    ],
  };
}

function forEveryHead(kept: Int32Array | undefined, kvHeads: number): KeptTokens | undefined {
  if (!kept) return undefined;
  const indices = new Int32Array(kvHeads * kept.length);
  for (let head = 0; head < kvHeads; head++) indices.set(kept, head * kept.length);
  return { indices, offsets: Int32Array.from({ length: kvHeads + 1 }, (_, head) => head * kept.length) };
}
