import { z } from "zod";
import { pluginOption } from "./inner-plugins.js";
import type { ModelShape } from "./model-shape.js";
import { type NumberSelection, selectionProblems, selectionSchema } from "./number-selection.js";
import { option } from "./options.js";
import type { OptionProblem, PluginKind } from "./plugin.js";

/** Words for the descriptions of {@link layerEntryOptions}. */
export interface LayerEntryWords {
  /** What serves a layer, such as `masker` or `KV pruner`. */
  readonly name: string;
  /** What happens in layers that nothing serves, such as `they are dense`. */
  readonly without: string;
}

/** Options of a plugin that hands each layer to one of several others: `layers`, a list of plugins with the layers that they serve, and `otherwise`. */
export function layerEntryOptions(kinds: readonly PluginKind[], { name, without }: LayerEntryWords) {
  const capitalised = name[0].toUpperCase() + name.slice(1);
  const entry = pluginOption(
    kinds,
    { description: `A ${name} with its options, and the layers that it serves.` },
    { layers: selectionSchema("Layers that it serves") },
  );
  const rest = pluginOption(kinds, { description: `A ${name} with its options.` });
  return {
    layers: option(z.array(entry).min(1), {
      description: `${capitalised}s for some of the layers; where two entries select the same one, the later wins.`,
    }),
    otherwise: option(rest.optional(), {
      description: `${capitalised} of the layers that no entry selects; absent: ${without}.`,
    }),
  };
}

/** For the plugin's `check`: entries that select layers which the model does not have. */
export function layerEntryProblems(
  { layers }: { readonly layers: readonly { readonly layers: NumberSelection }[] },
  model: ModelShape,
): OptionProblem[] {
  const selections = layers.map((entry) => entry.layers);
  return selectionProblems(selections, model.layers, "layers", (index) => ["layers", index, "layers"]);
}
