import {
  type BitmapWeight,
  type DensePanelWeight,
  type DenseWeight,
  type Int8PanelWeight,
  PANEL,
  panelElements,
} from "@winnow/core";
import { checkPart, checkPartArray } from "../check.js";
import { checkShape } from "./dense.js";
import { decodeDensePanels, encodeDensePanels } from "./dense-panel16.js";
import { checkQuantization, checkSums, decodeInt8Panels, encodeInt8Panels } from "./int8-panel16.js";
import { shared } from "./shared.js";

/** Bytes of zeros after the values. */
const TAIL = 64;

export function encodeBitmap(weight: DenseWeight, dtype: "bf16" | "int8"): BitmapWeight {
  const panels = dtype === "int8" ? encodeInt8Panels(weight) : encodeDensePanels(weight, "bf16");
  const { data, format: _, ...rest } = panels;
  const bitmap = shared(Uint32Array, data.length / 32);
  const offsets = shared(Uint32Array, Math.ceil(weight.outFeatures / PANEL) + 1);
  const panelSize = data.length / (offsets.length - 1);
  for (let e = 0; e < data.length; e++) {
    if (isZero(dtype, data[e])) continue;
    bitmap[e >>> 5] |= 1 << (e & 31);
    offsets[Math.floor(e / panelSize) + 1]++;
  }
  for (let p = 1; p < offsets.length; p++) offsets[p] += offsets[p - 1];
  const values = emptyValues(dtype, offsets[offsets.length - 1]);
  let next = 0;
  for (const value of data) if (!isZero(dtype, value)) values[next++] = value;
  return { ...rest, format: "bitmap", dtype, bitmap, values, offsets };
}

/** The panels that a checked bitmap stands for. */
export function expandBitmap(weight: BitmapWeight): DensePanelWeight | Int8PanelWeight {
  const { dtype, outFeatures, inFeatures, bias, bitmap, values, scales, sums } = weight;
  const length = panelElements(dtype, outFeatures, inFeatures);
  const data = dtype === "int8" ? shared(Int8Array, length) : shared(Uint16Array, length);
  let next = 0;
  for (let e = 0; e < length; e++) if (isStored(bitmap, e)) data[e] = values[next++];
  const shape = { outFeatures, inFeatures, ...(bias && { bias }) };
  return data instanceof Int8Array
    ? { format: "int8-panel16", dtype: "int8", ...shape, data, scales: scales!, sums: sums! }
    : { format: "dense-panel16", dtype: "bf16", ...shape, data };
}

export function decodeBitmap(weight: BitmapWeight): DenseWeight {
  const panels = expandBitmap(weight);
  return panels.format === "int8-panel16" ? decodeInt8Panels(panels) : decodeDensePanels(panels);
}

export function checkBitmap(operation: string, weight: BitmapWeight): void {
  checkShape(operation, weight);
  const { dtype, outFeatures, inFeatures, bitmap, scales, sums } = weight;
  checkPart(dtype === "bf16" || dtype === "int8", operation, "dtype", 'be "bf16" or "int8"', dtype);
  checkPartArray(operation, "bitmap", bitmap, Uint32Array, panelElements(dtype, outFeatures, inFeatures) / 32);
  checkOffsets(operation, weight);
  checkValues(operation, weight);
  checkPadding(operation, weight);
  if (dtype === "bf16") return;
  checkQuantization(operation, { ...weight, dtype, scales: scales!, sums: sums! });
  checkSums(operation, expandBitmap(weight) as Int8PanelWeight);
}

function checkOffsets(operation: string, { outFeatures, bitmap, offsets }: BitmapWeight): void {
  const panels = Math.ceil(outFeatures / PANEL);
  checkPartArray(operation, "offsets", offsets, Uint32Array, panels + 1);
  checkPart(offsets[0] === 0, operation, "offsets[0]", "be 0", offsets[0]);
  const words = bitmap.length / panels;
  for (let p = 0; p < panels; p++) {
    const stored = bitmap.subarray(p * words, (p + 1) * words).reduce((sum, word) => sum + bitCount(word), 0);
    const expected = offsets[p] + stored;
    const wanted = `be ${expected}, the weights that the bitmap marks up to panel ${p}`;
    checkPart(offsets[p + 1] === expected, operation, `offsets[${p + 1}]`, wanted, offsets[p + 1]);
  }
}

function checkValues(operation: string, { dtype, values, offsets }: BitmapWeight): void {
  const stored = offsets[offsets.length - 1];
  const type = dtype === "int8" ? Int8Array : Uint16Array;
  checkPartArray(operation, "values", values, type, stored + TAIL / type.BYTES_PER_ELEMENT);
  const tail = values.subarray(stored).find((value) => value !== 0);
  checkPart(tail === undefined, operation, "values", `end with ${TAIL} bytes of zeros`, tail);
}

/** Features that only fill up the layout hold nothing: kernels may multiply them with what lies behind x. */
function checkPadding(operation: string, { dtype, outFeatures, inFeatures, bitmap }: BitmapWeight): void {
  const together = dtype === "int8" ? 4 : 2;
  const steps = Math.ceil(inFeatures / together);
  for (let e = 0; e < bitmap.length * 32; e++) {
    if (!isStored(bitmap, e)) continue;
    const lane = Math.floor(e / together);
    const o = Math.floor(lane / (PANEL * steps)) * PANEL + (lane % PANEL);
    const i = (Math.floor(lane / PANEL) % steps) * together + (e % together);
    if (o >= outFeatures || i >= inFeatures) {
      checkPart(
        false,
        operation,
        "bitmap",
        `mark only weights of ${outFeatures} x ${inFeatures}`,
        `one at (${o}, ${i})`,
      );
    }
  }
}

function emptyValues(dtype: "bf16" | "int8", stored: number): Uint16Array | Int8Array {
  return dtype === "int8" ? shared(Int8Array, stored + TAIL) : shared(Uint16Array, stored + TAIL / 2);
}

function isStored(bitmap: Uint32Array, e: number): boolean {
  return ((bitmap[e >>> 5] >>> (e & 31)) & 1) === 1;
}

/** -0 of bf16 is zero too. */
function isZero(dtype: "bf16" | "int8", stored: number): boolean {
  return dtype === "bf16" ? (stored & 0x7fff) === 0 : stored === 0;
}

function bitCount(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
