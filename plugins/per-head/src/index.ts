import { definePlugin, requirePlugins } from "@winnow/core";
import { checkOptions, options } from "./options.js";
import { perHead } from "./per-head.js";

export default definePlugin({
  id: "per-head",
  kind: "masker",
  summary: "A masker of its own for each range of heads.",
  source: { title: "Choice by head; no paper" },
  options,
  check: checkOptions,
  create: (chosen, model, plugins) => perHead(chosen, model, requirePlugins(plugins)),
});
