import { definePlugin } from "@winnow/core";
import { options } from "./options.js";
import { streamingLlm } from "./streaming-llm.js";

export { evictAfterStep, evictForSpace, type SinkWindow } from "./evict.js";

export default definePlugin({
  id: "streaming-llm",
  kind: "kv-pruner",
  summary: "StreamingLLM: keep the first tokens and the most recent ones.",
  source: {
    title: "Efficient Streaming Language Models with Attention Sinks",
    authors: "Guangxuan Xiao et al.",
    year: 2023,
    url: "https://arxiv.org/abs/2309.17453",
    reference: "mit-han-lab/streaming-llm@2e50426",
  },
  options,
  create: (chosen) => streamingLlm(chosen),
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
