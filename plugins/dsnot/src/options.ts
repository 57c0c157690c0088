import { defineOptions, type OptionsOf, option, projections, sparsityOptions } from "@winnow/core";
import { z } from "zod";

const reference = "reference code zyxxmu/DSnoT@4c029df";

export const options = defineOptions({
  ...sparsityOptions,
  initial: option(z.enum(["given", "wanda", "magnitude", "sparsegpt"]).default("given"), {
    description:
      "Mask to start from. given: the zeros that the sparsifier before this one left (sparsity is unused); otherwise one by the scores of that method, " +
      "per row or N:M; sparsegpt takes the mask only and needs the Hessian, O(in^3).",
    source: `paper: wanda, sparsegpt, magnitude; ${reference}: required`,
  }),
  maxCycles: option(z.int().min(1).default(50), {
    description: "Swaps per row at most; more bring the expected error of more rows down and take longer.",
    unit: "swaps",
    symbol: "T",
    source: `paper and ${reference}: 50`,
  }),
  updateThreshold: option(z.number().min(0).default(0.1), {
    description:
      "A row is done once its expected error, summed over the tokens of a sequence, is at most this; lower swaps more. " +
      "The unit grows with the length of the calibration sequences: 0.1 is meant for 2048 tokens.",
    unit: "output, summed over a sequence",
    symbol: "epsilon",
    source: `paper and ${reference}: 0.1`,
  }),
  growVariancePower: option(z.number().min(0).default(1), {
    description:
      "Power of the input variance that the gain of a revived weight is divided by; more avoids unsteady inputs, 0: none.",
    symbol: "p",
    source: `paper and ${reference}: 1`,
  }),
  sameSign: option(z.boolean().default(false), {
    description: "Ends a row before a swap that would turn the sign of its error. Always so with an N:M pattern.",
    source: `${reference}: without_same_sign is true, that is off`,
  }),
  skipLayer: option(z.enum(["none", "mlp", "self_attn"]).default("mlp"), {
    description: "Part of a block that keeps the initial mask. none: all matrices are refined, as the paper describes.",
    source: `paper: none; ${reference}: mlp`,
  }),
  skipSubLayer: option(z.enum(["none", ...projections]).default("none"), {
    description: "One matrix of each block that keeps the initial mask.",
    source: `${reference}: none`,
  }),
  varianceOf: option(z.enum(["within-sequence", "all-tokens"]).default("within-sequence"), {
    description:
      "Input variance that growing looks at: inside each sequence, averaged over sequences; or over all tokens, which also counts differences between sequences.",
    symbol: "V",
    source: `paper: all-tokens; ${reference}: within-sequence`,
  }),
  damping: option(z.number().gt(0).default(0.01), {
    description:
      "initial: sparsegpt only. Added to the Hessian's diagonal, as a share of its mean; more makes the mask steadier and closer to wanda's.",
    unit: "fraction",
    symbol: "lambda",
    source: "SparseGPT, paper and reference code: 0.01",
  }),
});

export type DsnotOptions = OptionsOf<typeof options>;
