import {
  type DenseWeight,
  type FloatDtype,
  floatValues,
  type KernelInstance,
  type KernelPackage,
  sharedFloats,
  toBf16,
  weightBytes,
} from "@winnow/core";
import { checkDtype, checkOperands, checkWeight, refuse } from "./check.js";
import { wasmBytes } from "./kernel-memory.js";
import { Product, X_ROWS } from "./product.js";
import { WebAssembly } from "./web-assembly.js";

/** Does the engine that runs this know the instructions? Loads nothing. */
export function wasmStatus(): ReturnType<KernelPackage["available"]> {
  return WebAssembly.validate(wasmBytes())
    ? { available: true }
    : { available: false, reason: "this JavaScript engine has no WebAssembly SIMD" };
}

/**
 * `linear` for dense weights. Sums are float32, four partial sums over the inputs each; with bf16 weights, x is rounded to bf16 first.
 * Weights that `prepareWeight` saw stay in the kernel's memory as float32, others are copied in pieces at each call.
 */
export function createWasmLinear(): KernelInstance {
  const product = new Product();
  return {
    isa: "wasm_simd128",
    operations: {
      packWeight,
      encodeWeight: (_, { format }) => refuse(`encode weights as ${format}`),
      decodeWeight: checkWeight,
      linear: (x, rows, weight, out, accumulate = false, sparseRows = 0) => {
        const dense = checkWeight(weight);
        checkOperands(x, rows, dense, out, sparseRows);
        for (let r = 0; r < rows; r += X_ROWS) {
          const count = Math.min(X_ROWS, rows - r);
          const part = x.subarray(r * dense.inFeatures, (r + count) * dense.inFeatures);
          product.run(part, count, dense, out.subarray(r * dense.outFeatures), accumulate);
        }
        return rows === 0 ? 0 : weightBytes(dense);
      },
      gatedLinear: () => refuse("select rows of a gated MLP"),
    },
    prepareWeight: async (weight) => product.keep(checkWeight(weight)),
    close: () => undefined,
  };
}

/** Row-major, in memory that all workers see. */
function packWeight(weight: DenseWeight, dtype: FloatDtype): DenseWeight {
  const checked = checkWeight(weight);
  checkDtype(dtype);
  const data = sharedFloats(dtype, checked.data.length);
  if (checked.dtype === dtype) data.set(checked.data);
  else data.set(dtype === "f32" ? floatValues(checked) : checked.data.map(toBf16));
  return { ...checked, dtype, data };
}
