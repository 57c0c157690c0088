import { defineOptions, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

const reference = "reference code microsoft/MInference@fb56c91, streaming_kernel.py";

export const options = defineOptions({
  sinkTokens: option(z.int().min(0).default(128), {
    description: "First tokens that every query attends to; raising it is slower and nearer to dense.",
    unit: "tokens",
    symbol: "n_init",
    source: `${reference}: 128; StreamingLLM decodes with 4, MInference's baseline uses 1024`,
  }),
  recentTokens: option(z.int().min(1).default(3968), {
    description: "Last tokens that each query attends to, itself included; raising it is slower and nearer to dense.",
    unit: "tokens",
    symbol: "n_local",
    source: `${reference}: 3968; MInference's baseline uses 4096`,
  }),
});

export type AShapeOptions = OptionsOf<typeof options>;
