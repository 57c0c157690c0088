import { definePlugin, requirePlugins } from "@winnow/core";
import { denseCacheBelow } from "./dense-cache-below.js";
import { options } from "./options.js";

export default definePlugin({
  id: "dense-cache-below",
  kind: "kv-pruner",
  summary: "Reads the whole cache while it is short, then leaves reading to another pruner.",
  source: { title: "Choice by length; no paper" },
  options,
  create: ({ tokens, inner }, _, plugins) => denseCacheBelow(tokens, requirePlugins(plugins).kvPruner(inner), inner),
});
