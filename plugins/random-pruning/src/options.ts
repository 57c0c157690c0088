import { defineOptions, type OptionsOf, option, sparsityOptions } from "@winnow/core";
import { z } from "zod";

const reference = "reference code VITA-Group/Random_Pruning@871077f";

export const options = defineOptions({
  ...sparsityOptions,
  allocation: option(z.enum(["uniform", "er", "erk"]).default("erk"), {
    description:
      "How density is spread over matrices: uniform: alike; er, erk: more for small ones, in proportion to (sum of dimensions) / (product of dimensions), " +
      "which are the same for matrices. Unused with an N:M pattern.",
    source: `paper and ${reference}: ERK`,
  }),
  erkPowerScale: option(z.number().min(0).default(1), {
    description: "Power of that proportion; higher spreads more unevenly, 0: uniform.",
    source: `paper and ${reference}: 1`,
  }),
  count: option(z.enum(["bernoulli", "exact"]).default("bernoulli"), {
    description:
      "bernoulli: every weight stays by its own draw, so that counts vary by about sqrt(density * (1 - density) * weights); " +
      "exact: round(density * weights) of each matrix stay. Unused with an N:M pattern.",
    source: `paper and ${reference}: bernoulli`,
  }),
  seed: option(z.int().min(0).max(0xffffffff).default(0), {
    description: "Chooses the weights; the same seed gives the same masks.",
  }),
});

export type RandomPruningOptions = OptionsOf<typeof options>;
