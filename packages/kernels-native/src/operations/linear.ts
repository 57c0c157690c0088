import { type DenseOperations, type LinearWeight, WinnowError, weightBytes } from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkData, checkInteger } from "../check.js";
import { channelsLinear, gatedRowsLinear } from "./channels.js";
import { checkCompressed, checkFloats, checkShape } from "./check-weight.js";
import { decodeWeight } from "./decode-weight.js";
import { encodeWeight, packPanels } from "./encode-weight.js";

type WeightOperations = Pick<DenseOperations, "packWeight" | "encodeWeight" | "decodeWeight" | "linear">;

export function linearOperations(kernels: NativeKernels): WeightOperations {
  return {
    packWeight(weight, dtype) {
      checkFloats("packWeight", weight);
      check(weight.format === "dense", "packWeight", "weight.format", 'be "dense"', weight.format);
      check(dtype === "f32" || dtype === "bf16", "packWeight", "dtype", 'be "f32" or "bf16"', dtype);
      return packPanels(kernels, weight, dtype);
    },

    encodeWeight: (weight, target) => encodeWeight(kernels, weight, target),

    decodeWeight(weight) {
      checkWeight(kernels, "decodeWeight", weight);
      return decodeWeight(weight);
    },

    linear(x, rows, weight, out, accumulate = false, sparseRows = 0) {
      check(typeof weight === "object" && weight !== null, "linear", "weight", "be a LinearWeight", weight);
      if (weight.format === "channels") return channelsLinear(kernels, x, rows, weight, out, accumulate, sparseRows);
      checkInteger("linear", "sparseRows", sparseRows, 0, rows);
      if (weight.format === "gated-rows") return gatedRowsLinear(kernels, x, rows, weight, out, accumulate);
      if (weight.format === "dense") throw unsupported(weight.format);
      const bytes = checkWeight(kernels, "linear", weight);
      const { inFeatures, outFeatures } = weight;
      checkInteger("linear", "rows", rows);
      checkArray("linear", "x", x, Float32Array, rows * inFeatures);
      checkArray("linear", "out", out, Float32Array, rows * outFeatures);
      check(!overlap(x, rows * inFeatures, out, rows * outFeatures), "linear", "out", "not overlap x", out);
      if (weight.format === "dense-panel16") {
        const { data, bias } = weight;
        kernels.linear({ x, rows, inFeatures, outFeatures, data, bias, out, accumulate });
      } else if (weight.format === "groups") {
        kernels.linearGroups({ x, rows, weight, out, accumulate });
      } else {
        kernels.linearPanels({ x, rows, weight, out, accumulate });
      }
      return bytes;
    },
  };
}

/** Bytes of the weight. */
function checkWeight(kernels: NativeKernels, operation: string, weight: LinearWeight): number {
  check(typeof weight === "object" && weight !== null, operation, "weight", "be a LinearWeight", weight);
  switch (weight.format) {
    case "dense":
    case "dense-panel16":
      checkFloats(operation, weight);
      return weightBytes(weight);
    case "int8-panel16":
    case "bitmap":
    case "groups":
      return checkCompressed(kernels, operation, weight);
    case "channels":
    case "gated-rows":
      checkShape(operation, weight);
      checkData(operation, "weight", weight, weight.outFeatures * weight.inFeatures);
      return weightBytes(weight);
    default:
      throw unsupported((weight as { format: string }).format);
  }
}

function unsupported(format: string): WinnowError {
  return new WinnowError(
    "ERR_KERNEL_UNSUPPORTED",
    `Cannot run linear: the native kernels take no weights of format "${format}". Re-lay a dense weight with packWeight or encodeWeight once.`,
  );
}

function overlap(x: Float32Array, xLength: number, y: Float32Array, yLength: number): boolean {
  if (x.buffer !== y.buffer) return false;
  return x.byteOffset < y.byteOffset + 4 * yLength && y.byteOffset < x.byteOffset + 4 * xLength;
}
