import { defineOptions, definePlugin, option } from "@winnow/core";
import { z } from "zod";
import { shortKeys } from "./short-keys.js";

export default definePlugin({
  id: "__ID__",
  kind: "evict-scorer",
  summary: "__SUMMARY__",
  source: {
    title: "A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression",
    year: 2024,
    url: "https://arxiv.org/abs/2406.11430",
  },
  options: defineOptions({
    keepRatio: option(z.number().gt(0).max(1).default(0.5), {
      description:
        "Share of the prompt's tokens that stay in the cache; raising it costs memory and is nearer to dense.",
      unit: "fraction",
    }),
  }),
  create: (options) => shortKeys(options),
});
