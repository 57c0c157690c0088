import { defineOptions, type ModelShape, type OptionProblem, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

const reference = "reference code DerrickYLJ/TidalDecode@d67a1bd";

export const options = defineOptions({
  budget: option(z.int().min(1).default(256), {
    description:
      "Tokens that each query head reads in a layer that reuses a list, forced ones included; more is slower and nearer to dense.",
    unit: "tokens",
    symbol: "k",
    source: `${reference}: 256 (library), 128 (demo), 1024 and 4096 (scripts); paper: 32 to 512`,
  }),
  selectionLayers: option(z.array(z.int().min(0)).min(1).default([2]), {
    description:
      "Layers, counted from 0 and ascending, that score the whole cache and write the list for the layers after them; " +
      "those before the first read everything. A later first layer or one more layer is slower and nearer to dense.",
    unit: "layers",
    symbol: "TS",
    source: `${reference}: 2, then 13 (library), 9 or 12 elsewhere; the second depends on the model: run winnow tune`,
  }),
  sinkTokens: option(z.int().min(0).default(0), {
    description: "First tokens that every list holds; they count towards the budget.",
    unit: "tokens",
    source: `not in the paper; 0 as in ${reference}`,
  }),
  recentTokens: option(z.int().min(0).default(0), {
    description: "Last tokens that every list holds, the new one first; they count towards the budget.",
    unit: "tokens",
    source: `not in the paper; 0 as in ${reference}, whose CUDA path keeps the new token (1)`,
  }),
});

export type TidalDecodeOptions = OptionsOf<typeof options>;

export function checkOptions(
  { budget, selectionLayers, sinkTokens, recentTokens }: TidalDecodeOptions,
  model: ModelShape,
): OptionProblem[] {
  const problems: OptionProblem[] = [];
  selectionLayers.forEach((layer, i) => {
    const path = ["selectionLayers", i];
    if (layer >= model.layers)
      problems.push({
        path,
        message: `selectionLayers must be below model.layers (${model.layers}), got ${layer}. Lower or remove it.`,
      });
    if (i > 0 && layer <= selectionLayers[i - 1])
      problems.push({
        path,
        message: `selectionLayers must ascend without repeats, got ${layer} after ${selectionLayers[i - 1]}. Sort them.`,
      });
  });
  if (sinkTokens + recentTokens > budget)
    problems.push({
      path: ["budget"],
      message: `budget must be at least sinkTokens + recentTokens (${sinkTokens + recentTokens}), got ${budget}. Raise it.`,
    });
  return problems;
}
