import { denseMask, type InnerPlugins, lastSelections, type Masker, type ModelShape } from "@winnow/core";
import type { PerLayerOptions } from "./options.js";

/**
 * Each layer is masked by the last entry that selects it, else by `otherwise`, else densely.
 * An entry is one masker for all of its layers; it costs nothing elsewhere.
 */
export function perLayer({ layers, otherwise }: PerLayerOptions, model: ModelShape, plugins: InnerPlugins): Masker {
  const rest: Masker = otherwise ? plugins.masker(otherwise) : { plan: () => [denseMask] };
  const maskers = layers.map((entry) => plugins.masker(entry));
  const chosen = lastSelections(
    layers.map((entry) => entry.layers),
    model.layers,
  ).map((index) => maskers[index] ?? rest);
  return { plan: (context) => chosen[context.layer].plan(context) };
}
