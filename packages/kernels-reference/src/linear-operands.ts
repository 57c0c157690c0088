import { fromBf16, type Int8PanelWeight, type LinearWeight, toBf16 } from "@winnow/core";
import { quantize } from "./quantize.js";
import { expandBitmap } from "./weight-formats/bitmap.js";
import { readChannelsRow } from "./weight-formats/channels.js";
import { readDenseRow } from "./weight-formats/dense.js";
import { readDensePanelRow } from "./weight-formats/dense-panel16.js";
import { denseView } from "./weight-formats/gated-rows.js";
import { readGroupsRow } from "./weight-formats/groups.js";
import { readPanelRow } from "./weight-formats/panel-rows.js";

type ReadRow = (o: number, row: Float32Array) => void;

export interface Operands {
  /** Row `o` of the matrix, in units of {@link Operands.factor}. */
  readonly readRow: ReadRow;
  /** What a product of activation row `r` with weight row `o` is multiplied by. */
  readonly factor: (r: number, o: number) => number;
}

/** How to multiply with a checked weight; the activations are rounded or quantised in place, as its format defines. */
export function operandsOf(weight: LinearWeight, activations: Float32Array): Operands {
  switch (weight.format) {
    case "bitmap":
      return operandsOf(expandBitmap(weight), activations);
    case "int8-panel16":
      return int8Operands(weight, activations);
    case "channels":
      return exactOperands((o, row) => readChannelsRow(weight, o, row));
    case "gated-rows":
      return operandsOf(denseView(weight), activations);
    case "dense":
      return roundedOperands(weight, activations, (o, row) => readDenseRow(weight, o, row));
    case "dense-panel16":
      return roundedOperands(weight, activations, (o, row) => readDensePanelRow(weight, o, row));
    case "groups":
      return roundedOperands(weight, activations, (o, row) => readGroupsRow(weight, o, row));
  }
}

/** Products of whole numbers are exact, in float64 as in int32. */
function int8Operands({ data, inFeatures, scales }: Int8PanelWeight, activations: Float32Array): Operands {
  const inputScales = new Float32Array(activations.length / inFeatures);
  for (let r = 0; r < inputScales.length; r++) {
    inputScales[r] = quantize(activations.subarray(r * inFeatures, (r + 1) * inFeatures));
  }
  return { readRow: (o, row) => readPanelRow("int8", data, o, row), factor: (r, o) => inputScales[r] * scales[o] };
}

/** bf16 weights are multiplied with activations rounded to bf16. */
function roundedOperands({ dtype }: LinearWeight, activations: Float32Array, readRow: ReadRow): Operands {
  if (dtype === "bf16") for (let e = 0; e < activations.length; e++) activations[e] = fromBf16(toBf16(activations[e]));
  return exactOperands(readRow);
}

function exactOperands(readRow: ReadRow): Operands {
  return { readRow, factor: () => 1 };
}
