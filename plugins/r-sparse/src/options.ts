import { defineOptions, type ModelShape, type OptionProblem, type OptionsOf, option, WinnowError } from "@winnow/core";
import { z } from "zod";
import { readTable } from "./table.js";

const reference = "reference code VITA-Group/R-Sparse@59e9a8e";

export const options = defineOptions({
  sparsity: option(z.number().min(0).max(1).default(0.5), {
    description:
      "Share of a matrix's weights that a decoded token does not read, factors counted; raising it is faster and costs quality. Unused with a table.",
    unit: "fraction",
    symbol: "s",
    source: `paper and ${reference}: 0.5`,
  }),
  ratio: option(z.number().min(0).max(1).default(0.95), {
    description:
      "Share of what is read that goes to exact input channels; the rest goes to a low-rank product for the other channels. 1: channels alone. 0: the product alone. " +
      "Unused with a table.",
    unit: "fraction",
    symbol: "rho",
    source: "paper: 0.95 is the best uniform value",
  }),
  table: option(z.string().min(1).optional(), {
    description: "Text file with ratio and sparsity of each matrix, q, k, v, o, gate, up, down of each layer in turn.",
    format: "path",
    source: `${reference}: its sparse config file; written by winnow tune`,
  }),
});

export type RSparseOptions = OptionsOf<typeof options>;

export function checkOptions({ table }: RSparseOptions, model: ModelShape): OptionProblem[] {
  if (table === undefined) return [];
  try {
    readTable(table, model);
    return [];
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    return [{ path: ["table"], message: error.message }];
  }
}
