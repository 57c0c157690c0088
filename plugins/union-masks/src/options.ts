import { defineOptions, type OptionsOf, option, pluginOption } from "@winnow/core";
import { z } from "zod";

const inner = pluginOption(["masker", "block-scorer"], { description: "A masker with its options." });

export const options = defineOptions({
  of: option(z.array(inner).min(2).max(8), {
    description: "Maskers whose kept pairs are put together; more keeps more and is slower.",
  }),
});

export type UnionOfMasksOptions = OptionsOf<typeof options>;
