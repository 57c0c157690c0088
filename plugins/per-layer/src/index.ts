import { definePlugin, layerEntryProblems, requirePlugins } from "@winnow/core";
import { options } from "./options.js";
import { perLayer } from "./per-layer.js";

export default definePlugin({
  id: "per-layer",
  kind: "masker",
  summary: "A masker of its own for each range of layers.",
  source: { title: "Choice by layer; no paper" },
  options,
  check: layerEntryProblems,
  create: (chosen, model, plugins) => perLayer(chosen, model, requirePlugins(plugins)),
});
