import { defineOptions, layerEntryOptions, type OptionsOf } from "@winnow/core";

export const options = defineOptions(
  layerEntryOptions(["masker", "block-scorer"], { name: "masker", without: "they are dense" }),
);

export type PerLayerOptions = OptionsOf<typeof options>;
