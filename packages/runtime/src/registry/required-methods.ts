import type { PluginKind } from "@winnow/core";

/** Methods that an object of each kind must have; the others are optional. */
export const requiredMethods: Readonly<Record<PluginKind, readonly string[]>> = {
  masker: ["plan"],
  "block-scorer": ["score"],
  "kv-pruner": ["createState"],
  "evict-scorer": ["budget", "score"],
  "element-scorer": ["kept", "score"],
  "weight-sparsifier": ["sparsify"],
  "weight-scorer": ["score"],
  kernel: ["available", "load"],
};
