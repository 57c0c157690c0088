import { definePlugin, layerEntryProblems, requirePlugins } from "@winnow/core";
import { options } from "./options.js";
import { perLayerCache } from "./per-layer-cache.js";

export default definePlugin({
  id: "per-layer-cache",
  kind: "kv-pruner",
  summary: "A KV pruner of its own for each range of layers.",
  source: { title: "Choice by layer; no paper" },
  options,
  check: layerEntryProblems,
  create: (chosen, model, plugins) => perLayerCache(chosen, model, requirePlugins(plugins)),
});
