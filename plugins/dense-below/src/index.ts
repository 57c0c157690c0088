import { definePlugin, requirePlugins } from "@winnow/core";
import { denseBelow } from "./dense-below.js";
import { options } from "./options.js";

export default definePlugin({
  id: "dense-below",
  kind: "masker",
  summary: "Dense for short prompts, another masker for long ones.",
  source: { title: "Choice by length; no paper" },
  options,
  create: ({ tokens, inner }, _, plugins) => denseBelow(tokens, requirePlugins(plugins).masker(inner)),
});
