import { defineOptions, definePlugin, option } from "@winnow/core";
import { z } from "zod";
import { largeElements } from "./large-elements.js";

export default definePlugin({
  id: "__ID__",
  kind: "element-scorer",
  summary: "__SUMMARY__",
  source: {
    title: "Mustafar: Promoting Unstructured Sparsity for KV Cache Pruning in LLM Inference",
    year: 2025,
    url: "https://arxiv.org/abs/2505.22913",
  },
  options: defineOptions({
    keepRatio: option(z.number().gt(0).max(1).default(0.5), {
      description: "Share of the elements of an older row that stays; raising it costs memory and is nearer to dense.",
      unit: "fraction",
    }),
  }),
  create: (options) => largeElements(options),
});
