import { defineOptions, definePlugin, option } from "@winnow/core";
import { z } from "zod";
import { stridedBlocks } from "./strided-blocks.js";

export default definePlugin({
  id: "__ID__",
  kind: "masker",
  summary: "__SUMMARY__",
  source: { title: "The paper, report or idea behind the method" },
  options: defineOptions({
    stride: option(z.int().min(1).default(4), {
      description: "Key blocks of which one is attended to; raising it is faster and further from dense attention.",
      unit: "blocks",
    }),
  }),
  create: (options) => stridedBlocks(options),
});
