import { definePlugin } from "@winnow/core";
import { lazyNeuronTopk } from "./lazy-neuron-topk.js";
import { checkOptions, options } from "./options.js";

export default definePlugin({
  id: "lazy-neuron-topk",
  kind: "weight-sparsifier",
  summary: "Lazy neurons: only the k largest MLP activations, or those that are not zero, count.",
  source: {
    title: "The Lazy Neuron Phenomenon: On Emergence of Activation Sparsity in Transformers",
    authors: "Zonglin Li et al.",
    year: 2023,
    url: "https://arxiv.org/abs/2210.06313",
  },
  options,
  check: checkOptions,
  create: lazyNeuronTopk,
});
