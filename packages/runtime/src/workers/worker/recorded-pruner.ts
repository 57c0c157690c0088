import type { CompressContext, DecodeContext, KeptTokens, KvPruner, ReadPlan } from "@winnow/core";
import { guardPlugin } from "../../registry/guard-plugin.js";
import { checkCompressed } from "./compress.js";
import { checkKept } from "./evict.js";
import type { PrunerRecord } from "./pruner-records.js";
import { checkReadPlan } from "./read-plan.js";

/**
 * A KV pruner for another pruner's use: the same hooks, what they return is checked and counted, and errors name the plugin.
 * A context tells the largest number of cached tokens only; where KV heads differ, the check of the outer pruner's result is the exact one.
 */
export function recordedPruner(plugin: string, pruner: KvPruner, record: PrunerRecord): KvPruner {
  const { afterPrefill, select, observe, afterAttention, compress } = pruner;
  const checkedKept = (kept: KeptTokens | undefined, heads: number, length: number) => {
    if (kept) checkKept(plugin, { lengths: sameLengths(heads, length) }, kept);
    return kept?.indices.length ?? heads * length;
  };
  return {
    ...(pruner.observationQueries !== undefined && { observationQueries: pruner.observationQueries }),
    createState: () => guardPlugin(plugin, "createState", () => pruner.createState()),
    ...(afterPrefill && {
      afterPrefill(context, state) {
        const kept = guardPlugin(plugin, "afterPrefill", () => afterPrefill.call(pruner, context, state));
        const tokensKept = checkedKept(kept, context.k.heads, context.k.length);
        record.count(context.layer, { calls: 1, tokensRead: 0, tokensKept });
        return kept;
      },
    }),
    ...(select && {
      select(context, state) {
        const plan = guardPlugin(plugin, "select", () => select.call(pruner, context, state));
        const { length, k, q, position } = context;
        checkReadPlan(plugin, plan, {
          cache: { lengths: sameLengths(k.heads, length) },
          queryHeads: q.heads,
          position,
        });
        const tokensKept = afterAttention ? 0 : k.heads * length;
        record.count(context.layer, { calls: 1, tokensRead: tokensRead(plan, context), tokensKept });
        return plan;
      },
    }),
    ...(observe && {
      observe: (context, state, scores) =>
        guardPlugin(plugin, "observe", () => observe.call(pruner, context, state, scores)),
    }),
    ...(afterAttention && {
      afterAttention(context, state) {
        const kept = guardPlugin(plugin, "afterAttention", () => afterAttention.call(pruner, context, state));
        const tokensKept = checkedKept(kept, context.k.heads, context.length);
        const asWell = select
          ? { calls: 0, tokensRead: 0 }
          : { calls: 1, tokensRead: context.q.heads * context.length };
        record.count(context.layer, { ...asWell, tokensKept });
        return kept;
      },
    }),
    ...(compress && {
      compress(context, state) {
        const result = guardPlugin(plugin, "compress", () => compress.call(pruner, context, state));
        const { k, layer } = context;
        if (result) checkCompressed(plugin, { lengths: sameLengths(k.heads, k.length), headDim: k.headDim }, result);
        const counted = context.step === undefined ? afterPrefill : (select ?? afterAttention);
        record.count(layer, compressCounts(context, counted !== undefined));
        return result;
      },
    }),
  };
}

/** Tokens that are compressed, and where no other hook has counted this step, the others, too. */
function compressCounts({ model, k, compressed, step }: CompressContext, counted: boolean) {
  const tokens = compressed + (counted ? 0 : k.length);
  return {
    calls: counted ? 0 : 1,
    tokensRead: step === undefined ? 0 : model.queryHeads * tokens,
    tokensKept: model.kvHeads * tokens,
  };
}

function tokensRead(plan: ReadPlan, { q, length }: DecodeContext): number {
  return plan.read === "lists" ? plan.lists.indices.length : q.heads * length;
}

function sameLengths(heads: number, length: number): Int32Array {
  return new Int32Array(heads).fill(length);
}
