import {
  type DenseWeight,
  finiteWeights,
  toBf16,
  type WeightContext,
  type WeightSparsifier,
  WinnowError,
} from "@winnow/core";
import { invertHessian, scaledHessian } from "./hessian.js";
import type { SparseGptOptions } from "./options.js";
import { sweep } from "./sweep.js";

/**
 * SparseGPT (arXiv 2301.00774, Section 3): solves "keep the layer's output on the calibration text" column by column; weights that stay take over what the removed
 * ones did. Columns of features that were 0 in every token become 0. The result has the weight's own type, rounded once at the end.
 *
 * Where nothing is to be removed or rounded, the weight is returned as it is. Cost: O(in^3 + out * in^2); memory 3 in^2 + out * in floats.
 * Errors: `ERR_MODEL_TENSOR` for weights that are not finite, `ERR_CALIBRATION` for statistics that are missing, not finite or singular beyond damping,
 * `ERR_NON_FINITE` where compensation overflows.
 */
export function sparseGpt(options: SparseGptOptions): WeightSparsifier {
  return {
    statistics: ["hessian"],
    sparsify: (context) => (changesNothing(options) ? context.weight : compensated(context, options)),
  };
}

function changesNothing({ pattern, sparsity, bits }: SparseGptOptions): boolean {
  if (bits !== undefined) return false;
  return pattern === "unstructured" ? sparsity === 0 : pattern.keep === pattern.of;
}

function compensated(context: WeightContext, options: SparseGptOptions): DenseWeight {
  const { weight, operations, layer, projection } = context;
  const { inFeatures } = weight;
  const values = finiteWeights(context, weight).slice();
  const { factor, dead, damping } = invertHessian(scaledHessian(context), options, context);
  for (const j of dead) for (let e = j; e < values.length; e += inFeatures) values[e] = 0;
  sweep(values, inFeatures, factor, options, operations);
  if (!values.every(Number.isFinite)) {
    throw new WinnowError(
      "ERR_NON_FINITE",
      `Cannot prune ${projection} of layer ${layer}: compensation left the range of float32. Raise damping, or lower sparsity.`,
    );
  }
  context.report?.({ damping, deadFeatures: dead.length });
  const data = weight.dtype === "bf16" ? Uint16Array.from(values, toBf16) : values;
  return { ...weight, data };
}
