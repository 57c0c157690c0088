import { definePlugin } from "@winnow/core";
import { options } from "./options.js";
import { randomPruning } from "./random-pruning.js";

export { type AllocationOptions, densities } from "./densities.js";

export default definePlugin({
  id: "random-pruning",
  kind: "weight-sparsifier",
  summary: "Random pruning: the control that every score must beat, uniform or ERK.",
  source: {
    title: "The Unreasonable Effectiveness of Random Pruning: Return of the Most Naive Baseline for Sparse Training",
    authors: "Shiwei Liu et al.",
    year: 2022,
    url: "https://arxiv.org/abs/2202.02643",
    reference: "VITA-Group/Random_Pruning@871077f",
  },
  options,
  create: randomPruning,
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
