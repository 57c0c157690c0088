import { defineOptions, type OptionProblem, type OptionsOf, option, sparsityOptions } from "@winnow/core";
import { z } from "zod";

const reference = "reference code IST-DASLab/sparsegpt@147d215";

export const options = defineOptions({
  ...sparsityOptions,
  cut: option(z.enum(["threshold", "count"]).default("threshold"), {
    description:
      "Which weights of a block of columns go. threshold: all that score at most element floor(count * sparsity) in ascending order, so one more than asked, and " +
      "ties. count: exactly floor(count * sparsity). Unused with an N:M pattern.",
    source: `${reference}: threshold`,
  }),
  blockSize: option(z.int().min(1).default(128), {
    description:
      "Columns whose weights compete with each other, and that are finished before the columns after them are touched; wider chooses with more freedom but on " +
      "weights that are less up to date.",
    unit: "input features",
    symbol: "B",
    source: `paper and ${reference}: 128`,
  }),
  damping: option(z.number().gt(0).max(1000).default(0.01), {
    description:
      "Added to the diagonal of the Hessian, as a share of its mean; more makes compensation more cautious and the factorisation safer.",
    unit: "fraction",
    symbol: "lambda",
    source: `${reference}: percdamp 0.01`,
  }),
  dampingRetries: option(z.int().min(0).max(8).default(3), {
    description:
      "How often damping is multiplied by 10 where the Hessian turns out not to be positive definite, before giving up with an error; 0: never.",
  }),
  bits: option(z.int().min(2).max(15).optional(), {
    description:
      "Rounds kept weights to a grid of 2^bits values per row in the same pass, so that later columns make up for that error too; absent: no rounding.",
    unit: "bits",
    source: `${reference}: wbits, off by default`,
  }),
});

export type SparseGptOptions = OptionsOf<typeof options>;

export function checkOptions({ pattern, blockSize }: SparseGptOptions): OptionProblem[] {
  if (pattern === "unstructured" || blockSize % pattern.of === 0) return [];
  return [
    {
      path: ["blockSize"],
      message: `blockSize must be a multiple of pattern.of (${pattern.of}), so that no group spans two blocks, got ${blockSize}.`,
    },
  ];
}
