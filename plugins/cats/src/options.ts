import { defineOptions, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

export const options = defineOptions({
  sparsity: option(z.number().min(0).max(1).default(0.5), {
    description:
      "Share of the MLP's neurons that are skipped on the calibration text; raising it reads less of up_proj and down_proj and costs quality.",
    unit: "fraction",
    symbol: "s",
    source: "paper: 0.5, 0.7, 0.9",
  }),
  quantile: option(z.enum(["exact", "histogram"]).default("exact"), {
    description:
      "How the threshold follows from the share. exact: the floor(count * s)-th smallest |activated gate|. histogram: left edge of the bin that holds the share, on " +
      "999 bins of 0.002 that end at 1, so a little lower, never above 1, and too coarse where values crowd near 0.",
    source: "reference code ScalingIntelligence/CATS@679959c: histogram",
  }),
});

export type CatsOptions = OptionsOf<typeof options>;
