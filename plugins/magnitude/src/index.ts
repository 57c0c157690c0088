import { definePlugin } from "@winnow/core";
import { magnitude } from "./magnitude.js";
import { options } from "./options.js";

export default definePlugin({
  id: "magnitude",
  kind: "weight-sparsifier",
  summary: "Magnitude pruning: the smallest weights go.",
  source: {
    title: "The Emergence of Essential Sparsity in Large Pre-trained Models: The Weights that Matter",
    authors: "Ajay Jaiswal et al.",
    year: 2023,
    url: "https://arxiv.org/abs/2306.03805",
    reference: "VITA-Group/essential_sparsity@2f85c27",
  },
  options,
  create: magnitude,
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
