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
  { description: "A masker with its options, and the query heads that it serves." },
  { heads: selectionSchema("Query heads that it serves") },
);

const rest = pluginOption(kinds, { description: "A masker with its options." });

export const options = defineOptions({
  heads: option(z.array(entry).min(1), {
    description: "Maskers for some of the query heads; where two entries select the same one, the later wins.",
  }),
  otherwise: option(rest.optional(), {
    description: "Masker of the query heads that no entry selects; absent: they are dense.",
  }),
});

export type PerHeadOptions = OptionsOf<typeof options>;

export function checkOptions({ heads }: PerHeadOptions, model: ModelShape): OptionProblem[] {
  const selections = heads.map((entry) => entry.heads);
  return selectionProblems(selections, model.queryHeads, "query heads", (index) => ["heads", index, "heads"]);
}
