import { definePlugin, layerEntryProblems, requirePlugins } from "@winnow/core";
import { options } from "./options.js";
import { weightsPerLayer } from "./weights-per-layer.js";

export default definePlugin({
  id: "weights-per-layer",
  kind: "weight-sparsifier",
  summary: "A weight sparsifier of its own for each range of layers.",
  source: { title: "Choice by layer; no paper" },
  options,
  check: layerEntryProblems,
  create: (chosen, model, plugins) => weightsPerLayer(chosen, model, requirePlugins(plugins)),
});
