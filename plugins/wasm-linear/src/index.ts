import { definePlugin } from "@winnow/core";
import { options } from "./options.js";
import { createWasmLinear, wasmStatus } from "./wasm-linear.js";

export default definePlugin({
  id: "wasm-linear",
  kind: "kernel",
  summary: "Dense weights multiplied in WebAssembly SIMD: an example of a kernel plugin.",
  source: {
    title: "WebAssembly Core Specification 2.0 (fixed-width SIMD)",
    year: 2022,
    url: "https://www.w3.org/TR/wasm-core-2/",
  },
  options,
  create: ({ priority }) => ({
    id: "wasm-linear",
    priority,
    kernels: [{ operation: "linear", formats: ["dense"], dtypes: ["f32", "bf16"] }],
    available: wasmStatus,
    load: async () => createWasmLinear(),
  }),
});
