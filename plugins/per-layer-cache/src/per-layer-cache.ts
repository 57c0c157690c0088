import {
  type InnerPlugins,
  type KvPruner,
  lastSelections,
  type ModelShape,
  type PrefillEndContext,
  sliceTokens,
} from "@winnow/core";
import type { PerLayerCacheOptions } from "./options.js";

/** The states of the inner pruners, in order of the entries, `otherwise` last. */
export interface PerLayerCacheState {
  readonly inner: readonly unknown[];
}

/**
 * Each layer is served by the last entry that selects it, else by `otherwise`, else its whole cache is kept and read.
 * An entry is one pruner: one state of a sequence goes through all of its layers, in order.
 */
export function perLayerCache(
  { layers, otherwise }: PerLayerCacheOptions,
  model: ModelShape,
  plugins: InnerPlugins,
): KvPruner<PerLayerCacheState> {
  const pruners = [...layers, ...(otherwise ? [otherwise] : [])].map((entry) => plugins.kvPruner(entry));
  const chosen = lastSelections(
    layers.map((entry) => entry.layers),
    model.layers,
  ).map((index) => (index < 0 ? layers.length : index));
  const prunerOf = (layer: number): KvPruner | undefined => pruners[chosen[layer]];
  const stateOf = (layer: number, state: PerLayerCacheState) => state.inner[chosen[layer]];

  return {
    observationQueries: Math.max(...pruners.map(observedQueries)),
    createState: () => ({ inner: pruners.map((pruner) => pruner.createState()) }),
    afterPrefill(context, state) {
      const pruner = prunerOf(context.layer);
      return pruner?.afterPrefill?.(withQueriesOf(pruner, context), stateOf(context.layer, state));
    },
    select(context, state) {
      const pruner = prunerOf(context.layer);
      return pruner?.select ? pruner.select(context, stateOf(context.layer, state)) : { read: "all" };
    },
    observe(context, state, scores) {
      prunerOf(context.layer)?.observe?.(context, stateOf(context.layer, state), scores);
    },
    afterAttention: (context, state) =>
      prunerOf(context.layer)?.afterAttention?.(context, stateOf(context.layer, state)),
    compress: (context, state) => prunerOf(context.layer)?.compress?.(context, stateOf(context.layer, state)),
  };
}

function observedQueries({ observationQueries = 0 }: KvPruner): number {
  return observationQueries;
}

/** The context shows as many queries as the most curious pruner wants; each gets its own number. */
function withQueriesOf(pruner: KvPruner, context: PrefillEndContext): PrefillEndContext {
  const { length } = context.q;
  const wanted = Math.min(length, observedQueries(pruner));
  return { ...context, q: sliceTokens(context.q, length - wanted, length) };
}
