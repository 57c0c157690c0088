import { defineOptions, layerEntryOptions, type OptionsOf } from "@winnow/core";

export const options = defineOptions(
  layerEntryOptions(["kv-pruner", "evict-scorer", "element-scorer"], {
    name: "KV pruner",
    without: "they read and keep the whole cache",
  }),
);

export type PerLayerCacheOptions = OptionsOf<typeof options>;
