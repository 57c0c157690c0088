import { definePlugin } from "@winnow/core";
import { checkOptions, options } from "./options.js";
import { tidalDecode } from "./tidal-decode.js";

export default definePlugin({
  id: "tidal-decode",
  kind: "kv-pruner",
  summary: "TidalDecode: select tokens in a few layers, reuse the list in the layers after them.",
  source: {
    title: "TidalDecode: Fast and Accurate LLM Decoding with Position Persistent Sparse Attention",
    authors: "Lijie Yang et al.",
    year: 2024,
    url: "https://arxiv.org/abs/2410.05076",
    reference: "DerrickYLJ/TidalDecode@d67a1bd",
  },
  options,
  check: checkOptions,
  create: (chosen) => tidalDecode(chosen),
  fixtures: async () => (await import("./fixtures.js")).fixtures,
  tune: async () => (await import("./tune.js")).tuner,
});
