import type { DensePanelWeight, DenseWeight, LinearWeight } from "@winnow/core";
import { fromBf16, panelElements, panelIndex, WinnowError } from "@winnow/core";

/** The formats that this package runs. */
export type FloatWeight = DenseWeight | DensePanelWeight;

/**
 * Row-major float32 `[outFeatures, inFeatures]` of a `dense` or `dense-panel16` weight, whatever its type. Float32 `dense` data are returned
 * as they are, anything else is copied. Expects a checked weight.
 */
export function denseRows(weight: FloatWeight): Float32Array {
  const { format, data, dtype, outFeatures, inFeatures } = weight;
  if (format === "dense" && data instanceof Float32Array) return data;
  const rows = new Float32Array(outFeatures * inFeatures);
  for (let o = 0, i = 0; o < outFeatures; o++) {
    for (let c = 0; c < inFeatures; c++, i++) {
      const value = data[format === "dense" ? i : panelIndex(dtype, inFeatures, o, c)];
      rows[i] = dtype === "bf16" ? fromBf16(value) : value;
    }
  }
  return rows;
}

/** The weight itself. Throws `ERR_KERNEL_UNSUPPORTED` on a format that this package does not run, `ERR_OPERATION_ARGUMENT` on sizes that do not fit. */
export function checkWeight(weight: LinearWeight): FloatWeight {
  if (weight.format !== "dense" && weight.format !== "dense-panel16") {
    throw new WinnowError(
      "ERR_KERNEL_UNSUPPORTED",
      `ONNX Runtime runs weights of format dense and dense-panel16, got "${weight.format}". Use a kernel package that takes this format.`,
    );
  }
  const { format, dtype, outFeatures, inFeatures, data, bias } = weight;
  const elements = format === "dense" ? outFeatures * inFeatures : panelElements(dtype, outFeatures, inFeatures);
  const isFloat32 = data instanceof Float32Array;
  const fits =
    outFeatures >= 1 &&
    inFeatures >= 1 &&
    data.length === elements &&
    isFloat32 === (dtype === "f32") &&
    (!bias || bias.length === outFeatures);
  if (fits) return weight;
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot read a ${format} weight of ${outFeatures} x ${inFeatures} (${dtype}): expected ${elements} elements and ${outFeatures} biases or none, got ${data.length} elements${bias ? ` and ${bias.length} biases` : ""} in a ${data.constructor.name}. Pack the weight again.`,
  );
}
