import { definePlugin } from "@winnow/core";
import { checkOptions, options } from "./options.js";
import { rSparse } from "./r-sparse.js";

export default definePlugin({
  id: "r-sparse",
  kind: "weight-sparsifier",
  summary: "R-Sparse: important input channels exactly, the rest through a low-rank product.",
  source: {
    title: "R-Sparse: Rank-Aware Activation Sparsity for Efficient LLM Inference",
    authors: "Zhenyu Zhang et al.",
    year: 2025,
    url: "https://arxiv.org/abs/2504.19449",
    reference: "VITA-Group/R-Sparse@59e9a8e",
  },
  options,
  check: checkOptions,
  create: rSparse,
  fixtures: async () => (await import("./fixtures.js")).fixtures,
  tune: async () => (await import("./tune.js")).tuner,
});
