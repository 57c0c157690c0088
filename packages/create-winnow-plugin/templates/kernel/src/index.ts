import { defineOptions, definePlugin, option } from "@winnow/core";
import { z } from "zod";
import { denseLinear } from "./dense-linear.js";

export default definePlugin({
  id: "__ID__",
  kind: "kernel",
  summary: "__SUMMARY__",
  source: { title: "Plain loops with four partial sums" },
  options: defineOptions({
    priority: option(z.int().default(10), {
      description: "Kernels of a higher priority are tried first: native has 100, onnx 50, reference 0.",
    }),
  }),
  create: ({ priority }) => ({
    id: "__ID__",
    priority,
    kernels: [{ operation: "linear", formats: ["dense"], dtypes: ["f32"] }],
    available: () => ({ available: true }),
    load: async () => denseLinear(),
  }),
});
