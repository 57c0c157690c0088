import type { Operations } from "@winnow/core";
import { cacheOperations } from "./cache.js";
import { decodeAttention } from "./decode-attention.js";
import { elementwiseOperations } from "./elementwise.js";
import { linearOperations } from "./linear.js";
import { prefillAttention } from "./prefill-attention.js";
import { primitives } from "./primitives.js";

/**
 * Every operation as plain loops over the definitions in `@winnow/core`, sums in float64. Single-threaded, stateless.
 * Takes both dense weight formats, both cache types and all mask forms, exact vertical-slash included.
 */
export function createReference(): Operations & { readonly name: "reference" } {
  return {
    name: "reference",
    ...linearOperations,
    ...elementwiseOperations,
    ...cacheOperations,
    prefillAttention,
    decodeAttention,
    ...primitives,
  };
}
