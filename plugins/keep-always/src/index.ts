import { definePlugin, requirePlugins } from "@winnow/core";
import { keepAlways } from "./keep-always.js";
import { options } from "./options.js";

export default definePlugin({
  id: "keep-always",
  kind: "masker",
  summary: "Attention sinks and a local window on top of another masker.",
  source: {
    title: "Efficient Streaming Language Models with Attention Sinks",
    authors: "Guangxuan Xiao et al.",
    year: 2024,
    url: "https://arxiv.org/abs/2309.17453",
  },
  options,
  create: ({ inner, sinkTokens, recentTokens }, _, plugins) =>
    keepAlways(sinkTokens, recentTokens, requirePlugins(plugins).masker(inner)),
});
