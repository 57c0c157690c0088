import { definePlugin } from "@winnow/core";
import { checkOptions, options } from "./options.js";
import { teal } from "./teal.js";

export default definePlugin({
  id: "teal",
  kind: "weight-sparsifier",
  summary: "TEAL: input channels below a calibrated threshold are skipped.",
  source: {
    title: "Training-Free Activation Sparsity in Large Language Models",
    authors: "James Liu et al.",
    year: 2024,
    url: "https://arxiv.org/abs/2408.14690",
    reference: "FasterDecoding/TEAL@5baaec8",
  },
  options,
  check: checkOptions,
  create: teal,
  fixtures: async () => (await import("./fixtures.js")).fixtures,
  tune: async () => (await import("./tune.js")).tuner,
});
