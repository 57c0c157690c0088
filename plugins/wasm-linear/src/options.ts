import { defineOptions, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

export const options = defineOptions({
  priority: option(z.int().default(10), {
    description: "Kernels of a higher priority are tried first: native has 100, onnx 50, reference 0.",
    source: "between the reference kernels and those that use more of the processor",
  }),
});

export type WasmLinearOptions = OptionsOf<typeof options>;
