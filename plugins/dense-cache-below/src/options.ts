import { defineOptions, type OptionsOf, option, pluginOption } from "@winnow/core";
import { z } from "zod";

export const options = defineOptions({
  tokens: option(z.int().min(1), {
    description:
      "While a layer's cache holds fewer tokens than this, all are read; raising it is slower and nearer to dense.",
    unit: "tokens",
    source: "the size from which reading less pays",
  }),
  inner: pluginOption(["kv-pruner"], {
    description: "KV pruner that chooses what a longer cache is read of; it must choose reads.",
  }),
});

export type DenseCacheBelowOptions = OptionsOf<typeof options>;
