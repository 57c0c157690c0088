import type { FloatDtype, KernelPackage } from "@winnow/core";
import { createReference } from "./reference.js";
import { formats } from "./weight-formats/index.js";

const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

/** The reference operations as a kernel package: runs everywhere, tried last. */
export const referenceKernels: KernelPackage = {
  id: "reference",
  priority: 0,
  kernels: [
    { operation: "linear", formats, dtypes },
    { operation: "prefillAttention", formats: ["dense", "band", "blocks", "vertical-slash", "ranges"], dtypes },
    { operation: "decodeAttention", dtypes },
    { operation: "packedAttention", dtypes },
    { operation: "elementwise", dtypes },
    { operation: "cache", dtypes },
    { operation: "primitives", dtypes },
    { operation: "linearAlgebra", dtypes: ["f32"] },
  ],
  available: () => ({ available: true }),
  load: async () => ({ isa: "javascript", operations: createReference(), close: () => undefined }),
};
