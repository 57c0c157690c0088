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

const kinds: readonly PluginKind[] = ["masker", "block-scorer"];

const entry = pluginOption(
  kinds,
  { description: "A masker with its options, and the layers that it serves." },
  { layers: selectionSchema("Layers that it serves") },
);

const rest = pluginOption(kinds, { description: "A masker with its options." });

export const options = defineOptions({
  layers: option(z.array(entry).min(1), {
    description: "Maskers for some of the layers; where two entries select the same one, the later wins.",
  }),
  otherwise: option(rest.optional(), {
    description: "Masker of the layers that no entry selects; absent: they are dense.",
  }),
});

export type PerLayerOptions = OptionsOf<typeof options>;

export function checkOptions({ layers }: PerLayerOptions, model: ModelShape): OptionProblem[] {
  const selections = layers.map((entry) => entry.layers);
  return selectionProblems(selections, model.layers, "layers", (index) => ["layers", index, "layers"]);
}
