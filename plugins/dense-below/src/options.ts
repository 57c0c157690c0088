import { defineOptions, type OptionsOf, option, pluginOption } from "@winnow/core";
import { z } from "zod";

export const options = defineOptions({
  tokens: option(z.int().min(1), {
    description: "Prompts shorter than this are computed densely; raising it is slower and nearer to dense.",
    unit: "tokens",
    source: "the size from which the inner masker pays; measure it with winnow bench estimate",
  }),
  inner: pluginOption(["masker", "block-scorer"], { description: "Masker of prompts of at least `tokens` tokens." }),
});

export type DenseBelowOptions = OptionsOf<typeof options>;
