import { defineOptions, definePlugin, option } from "@winnow/core";
import { z } from "zod";
import { smallChannels } from "./small-channels.js";

export default definePlugin({
  id: "__ID__",
  kind: "weight-sparsifier",
  summary: "__SUMMARY__",
  source: {
    title: "Training-Free Activation Sparsity in Large Language Models",
    year: 2024,
    url: "https://arxiv.org/abs/2408.14690",
  },
  options: defineOptions({
    sparsity: option(z.number().min(0).lt(1).default(0.5), {
      description: "Share of the inputs that a decoded token skips; raising it is faster and further from dense.",
      unit: "fraction",
    }),
  }),
  create: (options) => smallChannels(options),
});
