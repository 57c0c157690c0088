import { defineOptions, type OptionsOf, option, pluginOption } from "@winnow/core";
import { z } from "zod";

const inner = pluginOption(["masker", "block-scorer"], { description: "A masker with its options." });

export const options = defineOptions({
  of: option(z.array(inner).min(2).max(8), {
    description: "Maskers that must all keep a pair; more keeps less and is faster in attention.",
  }),
});

export type IntersectionOfMasksOptions = OptionsOf<typeof options>;
