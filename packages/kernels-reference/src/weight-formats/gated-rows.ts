import type { DenseWeight, GatedRowsWeight } from "@winnow/core";
import { checkSelection } from "../select-entries.js";
import { checkFloats } from "./channels.js";
import { checkShape, decodeDense } from "./dense.js";

export function checkGatedRows(operation: string, weight: GatedRowsWeight): void {
  checkShape(operation, weight);
  checkFloats(operation, "data", weight.dtype, weight.data, weight.outFeatures * weight.inFeatures);
  checkSelection(operation, weight.selection, weight.outFeatures);
}

export function decodeGatedRows(weight: GatedRowsWeight): DenseWeight {
  return decodeDense(denseView(weight));
}

/** The same numbers as a dense weight; no copy. */
export function denseView({ dtype, outFeatures, inFeatures, data, bias }: GatedRowsWeight): DenseWeight {
  return { format: "dense", dtype, outFeatures, inFeatures, data, ...(bias && { bias }) };
}
