import { defineOptions, layerEntryOptions, type OptionsOf } from "@winnow/core";

export const options = defineOptions(
  layerEntryOptions(["weight-sparsifier", "weight-scorer"], {
    name: "weight sparsifier",
    without: "they are left alone",
  }),
);

export type WeightsPerLayerOptions = OptionsOf<typeof options>;
