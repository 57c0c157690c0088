import { defineOptions, type OptionProblem, type OptionsOf, option, sparsityOptions } from "@winnow/core";
import { z } from "zod";

export const options = defineOptions({
  ...sparsityOptions,
  variant: option(z.boolean().default(false), {
    description:
      "Cuts each row by its share of the summed scores instead of by count, one share for the matrix, searched until the sparsity is met within 0.001. " +
      "Rows then differ in their number of zeros.",
    symbol: "alpha",
    source: "reference code locuslab/wanda@8e8fc87: use_variant, off",
  }),
});

export type WandaOptions = OptionsOf<typeof options>;

export function checkOptions({ variant, pattern }: WandaOptions): OptionProblem[] {
  if (!variant || pattern === "unstructured") return [];
  return [
    {
      path: ["variant"],
      message: `variant cannot be combined with pattern ${pattern.keep} of ${pattern.of}, which fixes the count of every group. Remove one of them.`,
    },
  ];
}
