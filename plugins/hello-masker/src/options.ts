import { defineOptions, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

export const options = defineOptions({
  recentTokens: option(z.int().min(1).default(1024), {
    description:
      "Keys that each query attends to, itself and those right before it; raising it is slower and nearer to dense.",
    unit: "tokens",
    symbol: "w",
    source: "the size is free; the paper uses 32 to 512 per layer",
  }),
});

export type HelloMaskerOptions = OptionsOf<typeof options>;
