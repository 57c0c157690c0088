import { definePlugin } from "@winnow/core";
import { aShape } from "./a-shape.js";
import { options } from "./options.js";

export default definePlugin({
  id: "a-shape",
  kind: "masker",
  summary: "Attention sinks and a local window.",
  source: {
    title: "Efficient Streaming Language Models with Attention Sinks",
    authors: "Guangxuan Xiao et al.",
    year: 2024,
    url: "https://arxiv.org/abs/2309.17453",
    reference: "microsoft/MInference@fb56c91",
  },
  options,
  create: (chosen) => aShape(chosen),
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
