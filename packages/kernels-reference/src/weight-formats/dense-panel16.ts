import {
  type DensePanelWeight,
  type DenseWeight,
  type FloatDtype,
  panelElements,
  sharedFloats,
  toBf16,
} from "@winnow/core";
import { checkData } from "../check.js";
import { checkShape, denseOf, readDenseRow, widen } from "./dense.js";
import { readPanelRow, writePanelRow } from "./panel-rows.js";
import { sharedShape } from "./shared.js";

export function checkDensePanels(operation: string, weight: DensePanelWeight): void {
  checkShape(operation, weight);
  const { dtype, outFeatures, inFeatures } = weight;
  checkData(operation, "weight", weight, panelElements(dtype, outFeatures, inFeatures));
}

export function encodeDensePanels(weight: DenseWeight, dtype: FloatDtype): DensePanelWeight {
  const { outFeatures, inFeatures } = weight;
  const data = sharedFloats(dtype, panelElements(dtype, outFeatures, inFeatures));
  const row = new Float32Array(inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    readDenseRow(weight, o, row);
    writePanelRow(dtype, data, o, dtype === "bf16" ? row.map(toBf16) : row);
  }
  return { format: "dense-panel16", dtype, ...sharedShape(weight), data };
}

export function decodeDensePanels(weight: DensePanelWeight): DenseWeight {
  return denseOf(weight, weight.dtype, (o, row) => readDensePanelRow(weight, o, row));
}

/** Row `o` as numbers. */
export function readDensePanelRow({ dtype, data }: DensePanelWeight, o: number, row: Float32Array): void {
  readPanelRow(dtype, data, o, row);
  if (dtype === "bf16") widen(row);
}
