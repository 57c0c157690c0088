import { definePlugin } from "@winnow/core";
import { checkOptions, options } from "./options.js";
import { wanda } from "./wanda.js";

export default definePlugin({
  id: "wanda",
  kind: "weight-sparsifier",
  summary: "Wanda: weights with small magnitude times input norm go.",
  source: {
    title: "A Simple and Effective Pruning Approach for Large Language Models",
    authors: "Mingjie Sun et al.",
    year: 2023,
    url: "https://arxiv.org/abs/2306.11695",
    reference: "locuslab/wanda@8e8fc87",
  },
  options,
  check: checkOptions,
  create: wanda,
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
