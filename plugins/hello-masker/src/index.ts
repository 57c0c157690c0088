import { definePlugin } from "@winnow/core";
import { helloMasker } from "./hello-masker.js";
import { options } from "./options.js";

export default definePlugin({
  id: "hello-masker",
  kind: "masker",
  summary: "The template: attend to the last few tokens.",
  source: {
    title: "Longformer: The Long-Document Transformer (sliding window, causal)",
    authors: "Iz Beltagy, Matthew E. Peters, Arman Cohan",
    year: 2020,
    url: "https://arxiv.org/abs/2004.05150",
  },
  options,
  create: (chosen) => helloMasker(chosen),
});
