import { type DenseWeight, type Int8PanelWeight, panelElements } from "@winnow/core";
import { check, checkPart, checkPartArray } from "../check.js";
import { largestMagnitude, quantize } from "../quantize.js";
import { checkShape, denseOf, readDenseRow } from "./dense.js";
import { readPanelRow, writePanelRow } from "./panel-rows.js";
import { shared, sharedShape } from "./shared.js";

/** Beyond it a sum of products may leave int32. */
const MOST_INPUTS = 2 ** 17;

export function checkInt8Panels(operation: string, weight: Int8PanelWeight): void {
  checkShape(operation, weight);
  const { dtype, outFeatures, inFeatures, data } = weight;
  checkPart(dtype === "int8", operation, "dtype", 'be "int8"', dtype);
  checkPartArray(operation, "data", data, Int8Array, panelElements("int8", outFeatures, inFeatures));
  checkQuantization(operation, weight);
  checkSums(operation, weight);
}

/** Sizes and scales; sums are compared by {@link checkSums}. */
export function checkQuantization(operation: string, weight: Omit<Int8PanelWeight, "format" | "data">): void {
  const { outFeatures, inFeatures, scales, sums } = weight;
  checkInputs(operation, inFeatures);
  checkPartArray(operation, "scales", scales, Float32Array, outFeatures);
  checkPartArray(operation, "sums", sums, Int32Array, outFeatures);
  const bad = scales.findIndex((scale) => !(Number.isFinite(scale) && scale >= 0));
  checkPart(bad < 0, operation, `scales[${bad}]`, "be finite and not negative", scales[bad]);
}

export function checkSums(operation: string, { data, inFeatures, sums }: Int8PanelWeight): void {
  const row = new Int8Array(inFeatures);
  for (let o = 0; o < sums.length; o++) {
    readPanelRow("int8", data, o, row);
    const sum = row.reduce((total, value) => total + value, 0);
    checkPart(sums[o] === sum, operation, `sums[${o}]`, `be the sum of its row, ${sum}`, sums[o]);
  }
}

export function encodeInt8Panels(weight: DenseWeight): Int8PanelWeight {
  const { outFeatures, inFeatures } = weight;
  checkInputs("encodeWeight", inFeatures);
  const data = shared(Int8Array, panelElements("int8", outFeatures, inFeatures));
  const scales = shared(Float32Array, outFeatures);
  const sums = shared(Int32Array, outFeatures);
  const row = new Float32Array(inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    readDenseRow(weight, o, row);
    checkPart(
      Number.isFinite(largestMagnitude(row)),
      "encodeWeight",
      `data (row ${o})`,
      "be finite",
      largestMagnitude(row),
    );
    scales[o] = quantize(row);
    writePanelRow("int8", data, o, row);
    sums[o] = row.reduce((total, value) => total + value, 0);
  }
  return { format: "int8-panel16", dtype: "int8", ...sharedShape(weight), data, scales, sums };
}

export function decodeInt8Panels(weight: Int8PanelWeight): DenseWeight {
  return denseOf(weight, "f32", (o, row) => {
    readPanelRow("int8", weight.data, o, row);
    for (let i = 0; i < row.length; i++) row[i] *= weight.scales[o];
  });
}

function checkInputs(operation: string, inFeatures: number): void {
  check(inFeatures <= MOST_INPUTS, operation, "weight.inFeatures", `be at most ${MOST_INPUTS} with int8`, inFeatures);
}
