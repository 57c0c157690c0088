import {
  type DenseWeight,
  type FloatDtype,
  type KernelPackage,
  type LinearWeight,
  sharedFloats,
  toBf16,
  WinnowError,
  weightBytes,
} from "@winnow/core";
import { createOnnxAttention } from "./attention.js";
import { createOnnxDense, type LinearHandle } from "./linear.js";
import { onnxRuntimeStatus } from "./onnx-runtime.js";
import { checkWeight, denseRows } from "./weights.js";

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
        encodeWeight: (_, { format }) => unsupported(`encode weights as ${format}`),
        decodeWeight: (weight) => shareDense(weight, checkWeight(weight).dtype),
        // None of its formats has a selection: sparse rows are like the others.
        async linear(x, rows, weight, out, accumulate) {
          await dense.linear(handleOf(weight), x, rows, out, accumulate);
          return rows === 0 ? 0 : weightBytes(weight);
        },
        gatedLinear: () => unsupported("select rows of a gated MLP"),
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
function shareDense(weight: LinearWeight, dtype: FloatDtype): DenseWeight {
  const checked = checkWeight(weight);
  const { outFeatures, inFeatures, bias } = checked;
  if (dtype !== "f32" && dtype !== "bf16") {
    throw new WinnowError(
      "ERR_OPERATION_ARGUMENT",
      `Cannot pack a weight as "${dtype}": expected f32 or bf16. Name one of them.`,
    );
  }
  const rows = denseRows(checked);
  const data = sharedFloats(dtype, rows.length);
  data.set(dtype === "f32" ? rows : rows.map(toBf16));
  return { format: "dense", dtype, outFeatures, inFeatures, data, ...(bias && { bias }) };
}

function unsupported(what: string): never {
  throw new WinnowError(
    "ERR_KERNEL_UNSUPPORTED",
    `ONNX Runtime cannot ${what}: it multiplies with dense weights only. Use another kernel package for linear.`,
  );
}
