import { defineOptions, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

const reference = "reference code mit-han-lab/streaming-llm@2e50426";

export const options = defineOptions({
  sinkTokens: option(z.int().min(0).default(4), {
    description:
      "First tokens of the text that never leave the cache. 0 is a plain window, whose quality collapses at the first eviction; " +
      "more than 4 rarely helps.",
    unit: "tokens",
    symbol: "s",
    source: `paper Section 3.2 and ${reference}`,
  }),
  recentTokens: option(z.int().min(1).default(512), {
    description:
      "Last tokens that stay in the cache; more remembers further back and costs memory and time in proportion.",
    unit: "tokens",
    symbol: "r",
    source: `${reference}: 512 (class), 2000 (chat demo)`,
  }),
  positions: option(z.enum(["cache", "original"]).default("cache"), {
    description:
      "Where the model believes tokens to stand: cache counts inside the cache, so distances never exceed its size (for texts beyond " +
      "the model's context); original keeps the distances of the text.",
    source: `paper Section 3.2 (cache); kvpress (original)`,
  }),
});

export type StreamingLlmOptions = OptionsOf<typeof options>;
