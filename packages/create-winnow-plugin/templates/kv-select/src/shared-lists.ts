import type { KvPruner, TokenLists } from "@winnow/core";

/** One layer in so many reads the whole cache and chooses for itself and those after it. */
export const LAYERS_PER_CHOICE = 4;

/** What the layers of one step share; plain data, for a sequence may go on in another worker. */
export interface SharedLists {
  /** Step that wrote `lists`. */
  step: number;
  lists: TokenLists | undefined;
}

/**
 * Every {@link LAYERS_PER_CHOICE} layers one attends to all cached tokens; the layers after it read only the `tokens` that scored best there, per
 * query head; ties go to the lower index. Nothing leaves the cache.
 */
export function sharedLists({ tokens }: { readonly tokens: number }): KvPruner<SharedLists> {
  return {
    createState: () => ({ step: -1, lists: undefined }),
    select({ layer, step, length }, state) {
      if (length <= tokens) return { read: "all" };
      if (layer % LAYERS_PER_CHOICE === 0 || !state.lists || state.step !== step) return { read: "all", scores: true };
      return { read: "lists", lists: state.lists };
    },
    observe({ step, length, q, primitives }, state, scores) {
      const indices = primitives.topKRows(scores, q.heads, length, tokens);
      state.lists = { indices, offsets: Int32Array.from({ length: q.heads + 1 }, (_, head) => head * tokens) };
      state.step = step;
    },
  };
}
