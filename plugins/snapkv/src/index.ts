import { definePlugin, prunerFromEvictScorer } from "@winnow/core";
import { checkOptions, options } from "./options.js";
import { snapKv } from "./snapkv.js";

export default definePlugin({
  id: "snapkv",
  kind: "kv-pruner",
  summary: "SnapKV: the last queries of the prompt vote on which tokens stay.",
  source: {
    title: "SnapKV: LLM Knows What You are Looking for Before Generation",
    authors: "Yuhong Li et al.",
    year: 2024,
    url: "https://arxiv.org/abs/2404.14469",
    reference: "FasterDecoding/SnapKV@e216ddc",
  },
  options,
  check: checkOptions,
  create: (chosen) => prunerFromEvictScorer(snapKv(chosen)),
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
