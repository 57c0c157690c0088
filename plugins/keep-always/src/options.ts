import { defineOptions, type OptionsOf, option, pluginOption } from "@winnow/core";
import { z } from "zod";

export const options = defineOptions({
  inner: pluginOption(["masker", "block-scorer"], { description: "Masker that chooses the rest." }),
  sinkTokens: option(z.int().min(0).default(4), {
    description: "First tokens that every query attends to; raising it is slower and nearer to dense.",
    unit: "tokens",
    symbol: "n_init",
    source: "StreamingLLM, section 3.2: 4",
  }),
  recentTokens: option(z.int().min(1).default(64), {
    description: "Last tokens that each query attends to, itself included; raising it is slower and nearer to dense.",
    unit: "tokens",
    symbol: "n_local",
    source: "one query block of the attention kernels",
  }),
});

export type KeepAlwaysOptions = OptionsOf<typeof options>;
