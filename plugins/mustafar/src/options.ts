import { defineOptions, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

const reference = "reference code dhjoo98/mustafar@d83ee7e";
const sparsity = z.number().min(0).lt(1).default(0.5);

export const options = defineOptions({
  keySparsity: option(sparsity, {
    description: "Share of the elements of an older key that becomes zero; raising it reads less and loses more.",
    unit: "fraction",
    symbol: "s_K",
    source: `paper: 0.5 and 0.7; ${reference}: 0.7 in the speed test`,
  }),
  valueSparsity: option(sparsity, {
    description: "The same for values.",
    unit: "fraction",
    symbol: "s_V",
    source: `paper: 0.5 and 0.7; ${reference}: 0.7 in the speed test`,
  }),
  recentTokens: option(z.int().min(1).default(32), {
    description: "Last tokens that always stay as they are; more is nearer to dense.",
    unit: "tokens",
    symbol: "R",
    source: `paper and ${reference}: 32 (residual_length)`,
  }),
  groupTokens: option(z.int().min(1).default(256), {
    description:
      "Tokens that are compressed together, once so many stand before the recent ones; 1 compresses a token in each step, more leaves more tokens dense for a while.",
    unit: "tokens",
    source: `${reference}: 256 in the kernel's flow, 1 in the accuracy runs`,
  }),
});

export type MustafarOptions = OptionsOf<typeof options>;
