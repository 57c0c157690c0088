import {
  type DenseWeight,
  type FloatDtype,
  fromBf16,
  type KernelPackage,
  type LinearWeight,
  toBf16,
  WinnowError,
} from "@winnow/core";
import { createOnnxAttention } from "./attention.js";
import { createOnnxDense, type LinearHandle } from "./linear.js";
import { onnxRuntimeStatus } from "./onnx-runtime.js";
import { checkWeight } from "./weights.js";

/**
 * ONNX Runtime as a kernel package: projections (weights of either type, sums in float32) and dense attention in float32.
 * Both are asynchronous, as the layer loop of a worker allows.
 */
export const onnxKernels: KernelPackage = {
  id: "onnx",
  priority: 50,
  kernels: [
    { operation: "linear", formats: ["dense", "dense-panel16"], dtypes: ["f32", "bf16"] },
    { operation: "prefillAttention", formats: ["dense"], dtypes: ["f32"] },
  ],
  available: () => onnxRuntimeStatus(),
  async load({ threads }) {
    const dense = createOnnxDense({ threads });
    const attention = createOnnxAttention({ threads });
    const handles = new WeakMap<LinearWeight, LinearHandle>();
    let prepared = 0;
    const handleOf = (weight: LinearWeight) => {
      const handle = handles.get(weight) ?? dense.prepare(`linear${prepared++}`, weight);
      handles.set(weight, handle);
      return handle;
    };
    return {
      isa: "onnxruntime",
      operations: {
        packWeight: shareDense,
        linear: (x, rows, weight, out, accumulate) => dense.linear(handleOf(weight), x, rows, out, accumulate),
        prefillAttention: attention.prefillAttention,
      },
      prepareWeight: (weight) =>
        dense.linear(handleOf(weight), new Float32Array(weight.inFeatures), 1, new Float32Array(weight.outFeatures)),
      async close() {
        await dense.close();
        await attention.close();
      },
    };
  },
};

/** Row-major in shared memory; ONNX Runtime lays weights out itself. */
function shareDense(weight: DenseWeight, dtype: FloatDtype): DenseWeight {
  checkWeight(weight);
  if (dtype !== "f32" && dtype !== "bf16") {
    throw new WinnowError(
      "ERR_OPERATION_ARGUMENT",
      `Cannot pack a weight as "${dtype}": expected f32 or bf16. Name one of them.`,
    );
  }
  const { length } = weight.data;
  const data =
    dtype === "f32"
      ? new Float32Array(new SharedArrayBuffer(4 * length))
      : new Uint16Array(new SharedArrayBuffer(2 * length));
  if (weight.dtype === dtype) data.set(weight.data);
  else for (let i = 0; i < length; i++) data[i] = dtype === "f32" ? fromBf16(weight.data[i]) : toBf16(weight.data[i]);
  return { ...weight, dtype, data };
}
