import { defineOptions, definePlugin, option } from "@winnow/core";
import { z } from "zod";
import { sharedLists } from "./shared-lists.js";

export default definePlugin({
  id: "__ID__",
  kind: "kv-pruner",
  summary: "__SUMMARY__",
  source: {
    title: "TidalDecode: Fast and Accurate LLM Decoding with Position Persistent Sparse Attention",
    year: 2024,
    url: "https://arxiv.org/abs/2410.05076",
  },
  options: defineOptions({
    tokens: option(z.int().min(1).default(512), {
      description: "Cached tokens that a layer with a list reads; raising it is slower and nearer to dense attention.",
      unit: "tokens",
    }),
  }),
  create: (options) => sharedLists(options),
});
