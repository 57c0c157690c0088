import { type KvPruner, type PluginReference, WinnowError } from "@winnow/core";

/**
 * While the cache of a layer holds fewer than `tokens` tokens, the new one included, token lists of the inner pruner are replaced by a read of
 * everything. All hooks still reach the inner pruner, with its own state: methods that hand lists from layer to layer or add up scores need every step.
 * What it drops from the cache it drops at any length, and it keeps the positions that it gives to parts, which leave nothing unread.
 *
 * Throws `ERR_PLAN_CONFLICT` for an inner pruner that only drops tokens: this wrapper would change nothing.
 */
export function denseCacheBelow(tokens: number, inner: KvPruner, { plugin }: PluginReference): KvPruner {
  if (!inner.select) {
    throw new WinnowError(
      "ERR_PLAN_CONFLICT",
      `dense-cache-below cannot hold "${plugin}", which only drops tokens and reads what is left: reading all of it changes nothing. Name a pruner that chooses what is read, or use "${plugin}" alone.`,
      { plugin: "dense-cache-below" },
    );
  }
  return {
    ...(inner.observationQueries !== undefined && { observationQueries: inner.observationQueries }),
    createState: () => inner.createState(),
    ...(inner.afterPrefill && { afterPrefill: (context, state) => inner.afterPrefill!(context, state) }),
    select(context, state) {
      const plan = inner.select!(context, state);
      return plan.read === "lists" && context.length < tokens ? { read: "all" } : plan;
    },
    ...(inner.observe && { observe: (context, state, scores) => inner.observe!(context, state, scores) }),
    ...(inner.afterAttention && { afterAttention: (context, state) => inner.afterAttention!(context, state) }),
    ...(inner.compress && { compress: (context, state) => inner.compress!(context, state) }),
  };
}
