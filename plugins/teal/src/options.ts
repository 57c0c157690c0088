import { defineOptions, type ModelShape, type OptionProblem, type OptionsOf, option, WinnowError } from "@winnow/core";
import { z } from "zod";
import { readTable, requireLevel } from "./table.js";

export const options = defineOptions({
  sparsity: option(z.number().min(0).max(1).default(0.5), {
    description:
      "Share of the input channels that are skipped on the calibration text; raising it reads less of every matrix and costs quality. With a table: mean over " +
      "each layer's weights.",
    unit: "fraction",
    symbol: "s",
    source: "reference code FasterDecoding/TEAL@5baaec8: 0.5; paper: 0.25 to 0.65",
  }),
  quantile: option(z.enum(["abs", "signed"]).default("abs"), {
    description:
      "How a threshold follows from a share. abs: the floor(count * s)-th smallest |input|. signed: 0.5 + s/2 quantile of the signed inputs from 10000 bins, which " +
      "skips more or less than asked where inputs are not symmetric around 0.",
    source: "reference code FasterDecoding/TEAL@5baaec8: signed",
  }),
  table: option(z.string().min(1).optional(), {
    description:
      "CSV file with the shares of each layer's seven matrices for every level of sparsity; without it all matrices have one share.",
    format: "path",
    source: "paper: greedy block-wise allocation; written by winnow tune",
  }),
});

export type TealOptions = OptionsOf<typeof options>;

export function checkOptions({ sparsity, table }: TealOptions, model: ModelShape): OptionProblem[] {
  if (table === undefined) return [];
  try {
    requireLevel(readTable(table, model), sparsity, table);
    return [];
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    return [{ path: ["table"], message: error.message }];
  }
}
