import {
  defineOptions,
  type ModelShape,
  type OptionProblem,
  type OptionsOf,
  option,
  type PluginKind,
  pluginOption,
  selectionProblems,
  selectionSchema,
} from "@winnow/core";
import { z } from "zod";

const kinds: readonly PluginKind[] = ["weight-sparsifier", "weight-scorer"];

const entry = pluginOption(
  kinds,
  { description: "A weight sparsifier with its options, and the layers that it serves." },
  { layers: selectionSchema("Layers that it serves") },
);

const rest = pluginOption(kinds, { description: "A weight sparsifier with its options." });

export const options = defineOptions({
  layers: option(z.array(entry).min(1), {
    description: "Weight sparsifiers for some of the layers; where two entries select the same one, the later wins.",
  }),
  otherwise: option(rest.optional(), {
    description: "Weight sparsifier of the layers that no entry selects; absent: they are left alone.",
  }),
});

export type WeightsPerLayerOptions = OptionsOf<typeof options>;

export function checkOptions({ layers }: WeightsPerLayerOptions, model: ModelShape): OptionProblem[] {
  const selections = layers.map((entry) => entry.layers);
  return selectionProblems(selections, model.layers, "layers", (index) => ["layers", index, "layers"]);
}
