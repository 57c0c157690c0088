import { definePlugin } from "@winnow/core";
import { readHeadConfig } from "./head-config.js";
import { minference } from "./minference.js";
import { checkOptions, options } from "./options.js";

export { formatHeadConfig, type HeadConfig, type HeadEntry, parseHeadConfig, readHeadConfig } from "./head-config.js";

export default definePlugin({
  id: "minference",
  kind: "masker",
  summary: "MInference 1.0: vertical-slash, block-sparse and A-shape heads chosen offline, indices chosen per prompt.",
  source: {
    title: "MInference 1.0: Accelerating Pre-filling for Long-Context LLMs via Dynamic Sparse Attention",
    authors: "Huiqiang Jiang et al.",
    year: 2024,
    url: "https://arxiv.org/abs/2407.02490",
    reference: "microsoft/MInference@fb56c91",
  },
  options,
  check: checkOptions,
  create: (chosen, model) => minference(chosen, readHeadConfig(chosen.headConfig, model)),
  fixtures: async () => (await import("./fixtures.js")).fixtures,
  tune: async () => (await import("./tune.js")).tuner,
});
