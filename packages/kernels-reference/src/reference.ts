import type { Operations } from "@winnow/core";
import { cacheOperations } from "./cache.js";
import { decodeAttention } from "./decode-attention.js";
import { elementwiseOperations } from "./elementwise.js";
import { gatedLinear } from "./gated-linear.js";
import { linear } from "./linear.js";
import { linearAlgebra } from "./linear-algebra.js";
import { packedAttention } from "./packed-attention.js";
import { packTokens } from "./packed-rows.js";
import { prefillAttention } from "./prefill-attention.js";
import { primitives } from "./primitives.js";
import { weightOperations } from "./weight-formats/index.js";

/**
 * Every operation as plain loops over the definitions in `@winnow/core`, sums in float64. Single-threaded, stateless.
 * Takes all weight formats, both cache types and all mask forms, exact vertical-slash included.
 */
export function createReference(): Operations & { readonly name: "reference" } {
  return {
    name: "reference",
    ...weightOperations,
    linear,
    gatedLinear,
    ...elementwiseOperations,
    ...cacheOperations,
    prefillAttention,
    decodeAttention,
    packTokens,
    packedAttention,
    ...primitives,
    ...linearAlgebra,
  };
}
