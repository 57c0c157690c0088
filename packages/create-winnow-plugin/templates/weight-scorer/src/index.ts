import { defineOptions, definePlugin, option } from "@winnow/core";
import { z } from "zod";
import { weightedMagnitude } from "./weighted-magnitude.js";

export default definePlugin({
  id: "__ID__",
  kind: "weight-scorer",
  summary: "__SUMMARY__",
  source: {
    title: "A Simple and Effective Pruning Approach for Large Language Models",
    year: 2023,
    url: "https://arxiv.org/abs/2306.11695",
  },
  options: defineOptions({
    sparsity: option(z.number().min(0).max(1).default(0.5), {
      description: "Share of each row's weights that becomes zero; raising it saves memory and time and costs quality.",
      unit: "fraction",
    }),
  }),
  create: (options) => weightedMagnitude(options),
});
