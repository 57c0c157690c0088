import {
  type DecodeContext,
  type KvPruner,
  keepBest,
  type Primitives,
  type ReadPlan,
  type TokenLists,
  WinnowError,
} from "@winnow/core";
import type { TidalDecodeOptions } from "./options.js";

/** The list that the layers of one step share. */
export interface TidalDecodeState {
  /** Step that wrote `lists`; a list never outlives its step. */
  step: number;
  lists: TokenLists | undefined;
}

/**
 * TidalDecode (arXiv 2410.05076, Algorithm 1; reference `llama_tidal_attention_forward`).
 *
 * In each step, layers below the first selection layer attend to all n cached tokens; a selection layer attends to all of them too and
 * remembers, per query head, the `budget` tokens of highest scaled score q.k; every other layer attends to the latest such list only.
 * With n <= budget every layer reads everything. Nothing leaves the cache.
 *
 * Cost of a step in rows of K and V per query head: F * n + (L - F) * budget, with F = first selection layer + number of selection layers.
 */
export function tidalDecode(options: TidalDecodeOptions): KvPruner<TidalDecodeState> {
  const [firstSelection] = options.selectionLayers;
  const selects = (layer: number) => options.selectionLayers.includes(layer);
  return {
    createState: () => ({ step: -1, lists: undefined }),

    select(context, state): ReadPlan {
      if (context.length <= options.budget || context.layer < firstSelection) return { read: "all" };
      // The output of a selection layer is dense: it has paid for all scores anyway.
      if (selects(context.layer)) return { read: "all", scores: true };
      return { read: "lists", lists: latestLists(context, state) };
    },

    observe(context, state, scores) {
      state.step = context.step;
      state.lists = selectTokens(scores, context.q.heads, context.length, options, context.primitives);
    },
  };
}

/**
 * Ascending indices of the min(n, budget) best tokens of each query head, from scaled scores `[h, n]`; ties: lower index.
 * Scores before softmax: same order as the attention weights. Heads of one KV group choose apart, as in the reference.
 */
export function selectTokens(
  scores: Float32Array,
  queryHeads: number,
  length: number,
  options: Pick<TidalDecodeOptions, "budget" | "sinkTokens" | "recentTokens">,
  primitives: Pick<Primitives, "topKRows">,
): TokenLists {
  return keepBest(scores, queryHeads, length, options.budget, options, primitives);
}

function latestLists({ layer, step }: DecodeContext, state: TidalDecodeState): TokenLists {
  if (state.lists && state.step === step) return state.lists;
  throw new WinnowError(
    "ERR_PLUGIN_FAILED",
    `Layer ${layer} of step ${step} has no token list, expected one of an earlier layer of this step. ` +
      "Call select and observe for the layers of a step in order.",
    { plugin: "tidal-decode" },
  );
}
