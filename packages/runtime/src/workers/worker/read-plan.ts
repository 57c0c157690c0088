import {
  type AttentionCost,
  type HeadTensor,
  type LayerOperations,
  type ReadPart,
  type ReadPlan,
  sliceTokens,
  type TokenLists,
  WinnowError,
} from "@winnow/core";
import type { RopeTable } from "@winnow/models";
import type { LayerCache } from "../../engine/sequence.js";

/** What a read plan must fit. */
export interface ReadLimits {
  readonly cache: Pick<LayerCache, "lengths" | "compressed">;
  readonly queryHeads: number;
  /** True position of the new token. */
  readonly position: number;
}

/** Throws `ERR_PLUGIN_RESULT` for a read plan that does not fit the cache. O(indices). */
export function checkReadPlan(plugin: string, plan: ReadPlan, limits: ReadLimits): void {
  const fail = (what: string): never => {
    throw new WinnowError(
      "ERR_PLUGIN_RESULT",
      `Plugin "${plugin}" returned a read plan that does not fit the cache: ${what}.`,
      { plugin },
    );
  };
  if (typeof plan !== "object" || plan === null) fail(`it must be an object, got ${plan}`);
  else if (limits.cache.compressed && (plan.read !== "all" || plan.scores))
    fail(
      `the layer holds compressed tokens, which are read whole and without scores; return { read: "all" } there, got read "${plan.read}"${plan.read === "all" ? " with scores" : ""}`,
    );
  else if (plan.read === "lists") checkLists(plan.lists, limits, fail);
  else if (plan.read === "parts") checkParts(plan.parts, limits, fail);
  else if (plan.read !== "all")
    fail(`read must be "all", "lists" or "parts", got ${JSON.stringify((plan as { read: unknown }).read)}`);
}

function checkLists(lists: TokenLists, { cache, queryHeads }: ReadLimits, fail: (what: string) => never): void {
  const { indices, offsets } = lists ?? {};
  if (!(indices instanceof Int32Array) || !(offsets instanceof Int32Array))
    fail("indices and offsets must be Int32Array");
  if (offsets.length !== queryHeads + 1 || offsets[0] !== 0 || offsets[queryHeads] !== indices.length) {
    fail(`offsets must hold ${queryHeads + 1} entries from 0 to ${indices.length}`);
  }
  const group = queryHeads / cache.lengths.length;
  for (let head = 0; head < queryHeads; head++) {
    const length = cache.lengths[Math.floor(head / group)];
    if (offsets[head + 1] <= offsets[head]) fail(`query head ${head} reads no token`);
    for (let at = offsets[head], previous = -1; at < offsets[head + 1]; previous = indices[at++]) {
      if (indices[at] <= previous || indices[at] >= length) {
        fail(
          `query head ${head} has index ${indices[at]} after ${previous}; indices must ascend within [0, ${length})`,
        );
      }
    }
  }
}

function checkParts(parts: readonly ReadPart[], { cache, position }: ReadLimits, fail: (what: string) => never): void {
  if (!Array.isArray(parts)) fail("parts must be an array");
  const length = cache.lengths[0];
  if (cache.lengths.some((other) => other !== length)) fail("parts need the same number of tokens in every KV head");
  let expected = 0;
  for (const part of parts) {
    if (part?.start !== expected || !Number.isInteger(part.end) || part.end <= part.start)
      fail(`parts must cover [0, ${length}) in order, got [${part?.start}, ${part?.end})`);
    if (!Number.isInteger(part.queryPosition) || part.queryPosition < 0 || part.queryPosition > position)
      fail(`queryPosition must be in 0..${position}, where the new token stands, got ${part.queryPosition}`);
    expected = part.end;
  }
  if (expected !== length) fail(`parts must cover [0, ${length}), they end at ${expected}`);
}

export interface PartsTask {
  readonly rawQ: HeadTensor;
  readonly k: HeadTensor;
  readonly v: HeadTensor;
  readonly out: HeadTensor;
  readonly scale: number;
  readonly tables: RopeTable;
}

/** Attention over parts of the cache, each with the query rotated to its own position; partial softmaxes are merged by their log-sum-exp. */
export function readParts(operations: LayerOperations, parts: readonly ReadPart[], task: PartsTask): AttentionCost {
  const { heads, headDim } = task.rawQ;
  const results = parts.map((part) => {
    const q = { ...task.rawQ, data: Float32Array.from(task.rawQ.data) };
    operations.rope(q, Int32Array.of(part.queryPosition), task.tables.cos, task.tables.sin);
    const logSumExp = new Float32Array(heads);
    const k = sliceTokens(task.k, part.start, part.end);
    const v = sliceTokens(task.v, part.start, part.end);
    const cost = operations.decodeAttention({ q, k, v, out: q, scale: task.scale, logSumExp });
    return { out: q.data, logSumExp, cost };
  });
  for (let head = 0; head < heads; head++) {
    const most = Math.max(...results.map((result) => result.logSumExp[head]));
    const weights = results.map((result) => Math.exp(result.logSumExp[head] - most));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let channel = 0; channel < headDim; channel++) {
      const at = head * headDim + channel;
      task.out.data[at] = results.reduce((sum, result, part) => sum + result.out[at] * weights[part], 0) / total;
    }
  }
  return {
    cellsComputed: results.reduce((sum, result) => sum + result.cost.cellsComputed, 0),
    bytesRead: results.reduce((sum, result) => sum + result.cost.bytesRead, 0),
  };
}
