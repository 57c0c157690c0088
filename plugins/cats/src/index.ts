import { definePlugin } from "@winnow/core";
import { cats } from "./cats.js";
import { options } from "./options.js";

export default definePlugin({
  id: "cats",
  kind: "weight-sparsifier",
  summary: "CATS: MLP neurons whose activated gate is small are skipped.",
  source: {
    title: "CATS: Contextually-Aware Thresholding for Sparsity in Large Language Models",
    authors: "Je-Yong Lee et al.",
    year: 2024,
    url: "https://arxiv.org/abs/2404.08763",
    reference: "ScalingIntelligence/CATS@679959c",
  },
  options,
  create: cats,
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
