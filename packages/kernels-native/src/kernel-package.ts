import type { FloatDtype, KernelDescriptor, KernelPackage, OperationName } from "@winnow/core";
import { loadNative, type NativeOptions, nativeStatus } from "./native.js";

const bothTypes: readonly FloatDtype[] = ["f32", "bf16"];

function kernel(operation: OperationName, formats?: readonly string[]): KernelDescriptor {
  return { operation, dtypes: bothTypes, ...(formats && { formats }) };
}

/** The native kernels as a package that the planner can choose. */
export const nativeKernels: KernelPackage = {
  id: "native",
  priority: 100,
  kernels: [
    kernel("linear", ["dense-panel16", "int8-panel16", "bitmap", "groups", "channels", "gated-rows"]),
    kernel("prefillAttention", ["dense", "band", "blocks", "vertical-slash", "ranges"]),
    kernel("decodeAttention"),
    kernel("packedAttention"),
    kernel("elementwise"),
    kernel("cache"),
    kernel("primitives"),
    { operation: "linearAlgebra", dtypes: ["f32"] },
  ],
  available() {
    const status = nativeStatus();
    return status.available ? { available: true } : { available: false, reason: status.reason };
  },
  instructionSets() {
    const status = nativeStatus();
    return status.available ? status.instructionSets : [];
  },
  async load({ threads, isa }) {
    const operations = loadNative({ threads, isa: isa as NativeOptions["isa"] });
    return { isa: operations.isa, operations, close: operations.close };
  },
};
