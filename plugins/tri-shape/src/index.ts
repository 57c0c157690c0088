import { definePlugin } from "@winnow/core";
import { checkOptions, options } from "./options.js";
import { triShape } from "./tri-shape.js";

export default definePlugin({
  id: "tri-shape",
  kind: "masker",
  summary: "Attention sinks, a local window and dense last queries.",
  source: {
    title: "SCBench: A KV Cache-Centric Analysis of Long-Context Methods",
    authors: "Yucheng Li et al.",
    year: 2025,
    url: "https://arxiv.org/abs/2412.10319",
    reference: "microsoft/MInference@fb56c91",
  },
  options,
  check: checkOptions,
  create: (chosen) => triShape(chosen),
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
