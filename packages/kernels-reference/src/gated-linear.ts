import { type DenseOperations, fromBf16, toBf16 } from "@winnow/core";
import { activationOf } from "./activation.js";
import { check, checkArray } from "./check.js";
import { selectEntries } from "./select-entries.js";
import { readDenseRow } from "./weight-formats/dense.js";
import { denseView } from "./weight-formats/gated-rows.js";
import { checkWeight } from "./weight-formats/index.js";

export const gatedLinear: DenseOperations["gatedLinear"] = (x, gate, weight, activation, out) => {
  check(weight.format === "gated-rows", "gatedLinear", "weight.format", 'be "gated-rows"', weight.format);
  checkWeight("gatedLinear", weight);
  const { inFeatures, outFeatures, data, bias, dtype } = weight;
  checkArray("gatedLinear", "x", x, Float32Array, inFeatures);
  checkArray("gatedLinear", "gate", gate, Float32Array, outFeatures);
  checkArray("gatedLinear", "out", out, Float32Array, outFeatures);
  const activate = activationOf("gatedLinear", activation);
  const activated = gate.subarray(0, outFeatures);
  activated.set(activated.map(activate));
  const selected = selectEntries(weight.selection, activated);
  const input = dtype === "bf16" ? x.map((value) => fromBf16(toBf16(value))) : x;
  const row = new Float32Array(inFeatures);
  out.fill(0, 0, outFeatures);
  for (const o of selected) {
    readDenseRow(denseView(weight), o, row);
    let sum = bias ? bias[o] : 0;
    for (let i = 0; i < inFeatures; i++) sum += row[i] * input[i];
    out[o] = activated[o] * sum;
  }
  const rowBytes = inFeatures * data.BYTES_PER_ELEMENT + (bias ? bias.BYTES_PER_ELEMENT : 0);
  return selected.length * rowBytes;
};
