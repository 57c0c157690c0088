import { defineOptions, type OptionsOf, option, sparsityOptions } from "@winnow/core";
import { z } from "zod";

export const options = defineOptions({
  ...sparsityOptions,
  scope: option(z.enum(["global", "layer", "layer-threshold", "row"]).default("global"), {
    description:
      "Which weights compete: global: those of all matrices, so that matrices of small weights may vanish; layer: those of one matrix, by exact count; " +
      "layer-threshold: the same by a threshold, which also takes ties, as the baseline of Wanda and SparseGPT; row: those of one output. Unused with an N:M pattern.",
    source:
      "paper: global; reference code VITA-Group/essential_sparsity@2f85c27: global, layer; locuslab/wanda@8e8fc87: layer-threshold; zyxxmu/DSnoT@4c029df: row",
  }),
});

export type MagnitudeOptions = OptionsOf<typeof options>;
