import { definePlugin } from "@winnow/core";
import { dsnot } from "./dsnot.js";
import { options } from "./options.js";

export default definePlugin({
  id: "dsnot",
  kind: "weight-sparsifier",
  summary: "DSnoT: moves the mask of another pruner until the expected error vanishes.",
  source: {
    title: "Dynamic Sparse No Training: Training-Free Fine-tuning for Sparse LLMs",
    authors: "Yuxin Zhang et al.",
    year: 2024,
    url: "https://arxiv.org/abs/2310.08915",
    reference: "zyxxmu/DSnoT@4c029df",
  },
  options,
  create: dsnot,
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
