import { definePlugin } from "@winnow/core";
import { mustafar } from "./mustafar.js";
import { options } from "./options.js";

export default definePlugin({
  id: "mustafar",
  kind: "element-scorer",
  summary: "Mustafar: of older rows of the cache, only the elements of large magnitude are stored and read.",
  source: {
    title: "Mustafar: Promoting Unstructured Sparsity for KV Cache Pruning in LLM Inference",
    authors: "Donghyeon Joo et al.",
    year: 2025,
    url: "https://arxiv.org/abs/2505.22913",
    reference: "dhjoo98/mustafar@d83ee7e",
  },
  options,
  create: (chosen) => mustafar(chosen),
  fixtures: async () => (await import("./fixtures.js")).fixtures,
});
