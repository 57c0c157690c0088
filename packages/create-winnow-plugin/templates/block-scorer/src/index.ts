import { defineOptions, definePlugin, option } from "@winnow/core";
import { z } from "zod";
import { pooledScores } from "./pooled-scores.js";

export default definePlugin({
  id: "__ID__",
  kind: "block-scorer",
  summary: "__SUMMARY__",
  source: { title: "The paper, report or idea behind the method" },
  options: defineOptions({
    keepBlocks: option(z.int().min(2).default(16), {
      description: "Key blocks that each query block attends to; raising it is slower and nearer to dense attention.",
      unit: "blocks",
    }),
  }),
  create: (options) => pooledScores(options),
});
