import {
  type DenseOperations,
  type DenseWeight,
  type FloatData,
  type FloatDtype,
  type LinearWeight,
  panelElements,
  WinnowError,
} from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkData, checkInteger } from "../check.js";

export function linearOperations(kernels: NativeKernels): Pick<DenseOperations, "packWeight" | "linear"> {
  return {
    packWeight(weight, dtype) {
      checkWeight("packWeight", weight);
      check(weight.format === "dense", "packWeight", "weight.format", 'be "dense"', weight.format);
      check(dtype === "f32" || dtype === "bf16", "packWeight", "dtype", 'be "f32" or "bf16"', dtype);
      return packed(kernels, weight, dtype);
    },

    linear(x, rows, weight, out, accumulate = false) {
      checkWeight("linear", weight);
      if (weight.format !== "dense-panel16") throw unsupported(weight.format);
      const { inFeatures, outFeatures, data, bias } = weight;
      checkInteger("linear", "rows", rows);
      checkArray("linear", "x", x, Float32Array, rows * inFeatures);
      checkArray("linear", "out", out, Float32Array, rows * outFeatures);
      check(!overlap(x, rows * inFeatures, out, rows * outFeatures), "linear", "out", "not overlap x", out);
      kernels.linear({ x, rows, inFeatures, outFeatures, data, bias, out, accumulate });
    },
  };
}

function packed(kernels: NativeKernels, weight: DenseWeight, dtype: FloatDtype): LinearWeight {
  const { outFeatures, inFeatures, bias } = weight;
  const data = sharedArray(dtype, panelElements(dtype, outFeatures, inFeatures));
  kernels.packWeight({ data: weight.data, outFeatures, inFeatures, packed: data });
  return { format: "dense-panel16", dtype, outFeatures, inFeatures, data, ...(bias && { bias: sharedCopy(bias) }) };
}

function sharedArray(dtype: FloatDtype, elements: number): FloatData {
  if (dtype === "bf16") return new Uint16Array(new SharedArrayBuffer(2 * elements));
  return new Float32Array(new SharedArrayBuffer(4 * elements));
}

function sharedCopy(values: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(values.byteLength));
  copy.set(values);
  return copy;
}

function checkWeight(operation: string, weight: LinearWeight): void {
  check(typeof weight === "object" && weight !== null, operation, "weight", "be a LinearWeight", weight);
  const { format, dtype, outFeatures, inFeatures, bias } = weight;
  if (format !== "dense" && format !== "dense-panel16") throw unsupported(format);
  checkInteger(operation, "weight.outFeatures", outFeatures, 1);
  checkInteger(operation, "weight.inFeatures", inFeatures, 1);
  const dense = outFeatures * inFeatures;
  checkData(operation, "weight", weight, format === "dense" ? dense : panelElements(dtype, outFeatures, inFeatures));
  if (bias !== undefined) checkArray(operation, "weight.bias", bias, Float32Array, outFeatures);
}

function unsupported(format: string): WinnowError {
  return new WinnowError(
    "ERR_KERNEL_UNSUPPORTED",
    `Cannot run linear: the native kernels take weights of format "dense-panel16", got "${format}". Re-lay a dense weight with packWeight once.`,
  );
}

function overlap(x: Float32Array, xLength: number, y: Float32Array, yLength: number): boolean {
  if (x.buffer !== y.buffer) return false;
  return x.byteOffset < y.byteOffset + 4 * yLength && y.byteOffset < x.byteOffset + 4 * xLength;
}
