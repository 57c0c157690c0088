import { definePlugin } from "@winnow/core";
import { checkOptions, options } from "./options.js";
import { sparseGpt } from "./sparsegpt.js";

export default definePlugin({
  id: "sparsegpt",
  kind: "weight-sparsifier",
  summary: "SparseGPT: prunes column by column and lets the remaining weights make up for it.",
  source: {
    title: "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot",
    authors: "Elias Frantar and Dan Alistarh",
    year: 2023,
    url: "https://arxiv.org/abs/2301.00774",
    reference: "IST-DASLab/sparsegpt@147d215",
  },
  options,
  check: checkOptions,
  create: sparseGpt,
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
