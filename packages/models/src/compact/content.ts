import { PANEL, paddedInputs, placeBits } from "@winnow/core";
import { findNonFinite } from "../float-convert.js";
import { bytesOf, type TensorData, tensorArrays } from "../safetensors-dtype.js";
import { checkBitmap, checkSums, type FailPart } from "./bitmap-content.js";
import { type MatrixDescription, sectionsOf } from "./description.js";
import type { Parts } from "./parts.js";

type Of<F extends MatrixDescription["format"]> = MatrixDescription & { readonly format: F };

/** Longer rows could overflow the int32 sums of the int8 formats. */
const MAX_INT8_INPUTS = 1 << 17;

/**
 * Checks everything that a kernel relies on: types and lengths of all sections, finite numbers, places inside their group, offsets and sums
 * that agree with the values, empty padding. The first thing wrong goes to `fail`. O(out * in), a few ns a stored weight.
 */
export function checkContent(matrix: MatrixDescription, parts: Parts, fail: FailPart): void {
  checkLengths(matrix, parts, fail);
  checkNumbers(matrix, parts, fail);
  switch (matrix.format) {
    case "bitmap":
      checkBitmap(matrix, parts, fail);
      break;
    case "groups":
      checkGroups(matrix, parts, fail);
      break;
    case "int8-panel16":
      checkInt8Panels(matrix, parts, fail);
      break;
    default:
      checkSelection(matrix, parts, fail);
  }
}

function checkLengths(matrix: MatrixDescription, parts: Parts, fail: FailPart): void {
  const sections = sectionsOf(matrix);
  for (const { part, dtype, shape } of sections) {
    const data = parts.get(part);
    if (!(data instanceof tensorArrays[dtype])) {
      fail(part, `it must be a ${tensorArrays[dtype].name}, got ${data?.constructor.name ?? "nothing"}`);
    }
    const length = shape.reduce<number>((product, size) => product * (size ?? Number.NaN), 1);
    if (length >= 0 && data.length !== length) fail(part, `it must hold ${length} numbers, got ${data.length}`);
  }
  const known = new Set(sections.map(({ part }) => part));
  for (const part of parts.keys()) if (!known.has(part)) fail(part, `format ${matrix.format} has no such section`);
}

function checkNumbers(matrix: MatrixDescription, parts: Parts, fail: FailPart): void {
  for (const { part, dtype } of sectionsOf(matrix)) {
    if (dtype !== "F32" && dtype !== "BF16") continue;
    const data = parts.get(part) as TensorData;
    const bad = findNonFinite(dtype, bytesOf(data), "f32");
    if (bad >= 0) fail(part, `all its numbers must be finite, but number ${bad} is not`);
    if (part !== "scales" && part !== "channel_scale") continue;
    const negative = (data as Float32Array).findIndex((x) => x < 0);
    if (negative >= 0) fail(part, `its numbers must not be negative, but number ${negative} is`);
  }
  if (matrix.dtype === "int8" && matrix.inFeatures > MAX_INT8_INPUTS) {
    fail("values", `int8 rows may be ${MAX_INT8_INPUTS} weights long, got ${matrix.inFeatures}`);
  }
}

function checkGroups(matrix: Of<"groups">, parts: Parts, fail: FailPart): void {
  const { outFeatures, inFeatures, keep, of } = matrix;
  if (keep > of) fail("values", `keep must be at most of (${of}), got ${keep}`);
  const values = parts.get("values") as Uint16Array;
  const places = parts.get("places") as Uint32Array;
  const { bits, words } = placeBits(of);
  const groups = Math.ceil(inFeatures / of);
  const last = new Int32Array(PANEL);
  for (let block = 0, slot = 0; slot < values.length / PANEL; block++) {
    last.fill(-1);
    const size = Math.min(of, inFeatures - (block % groups) * of);
    const lanes = outFeatures - Math.floor(block / groups) * PANEL;
    for (let kept = 0; kept < keep; kept++, slot++) {
      for (let lane = 0; lane < PANEL; lane++) {
        const bit = bits * lane;
        const place = (places[slot * words + (bit >>> 5)] >>> (bit & 31)) & ((1 << bits) - 1);
        if (place >= size) fail("places", `${where(slot, lane)} must be in 0..${size - 1}, got ${place}`);
        if ((values[slot * PANEL + lane] & 0x7fff) === 0) continue;
        if (lane >= lanes) fail("values", `${where(slot, lane)} lies beyond the last row and must be 0`);
        if (place <= last[lane]) fail("places", `${where(slot, lane)} must be above the one before it in its group`);
        last[lane] = place;
      }
    }
  }
}

function where(slot: number, lane: number): string {
  return `lane ${lane} of slot ${slot}`;
}

function checkInt8Panels(matrix: Of<"int8-panel16">, parts: Parts, fail: FailPart): void {
  const { outFeatures, inFeatures } = matrix;
  const data = parts.get("data") as Int8Array;
  const padded = paddedInputs("int8", inFeatures);
  const sums = new Int32Array(Math.ceil(outFeatures / PANEL) * PANEL);
  let e = 0;
  for (let panel = 0; panel < sums.length; panel += PANEL) {
    for (let input = 0; input < padded; input += 4) {
      for (let lane = 0; lane < PANEL; lane++) {
        for (let i = input; i < input + 4; i++, e++) {
          sums[panel + lane] += data[e];
          if (data[e] !== 0 && (i >= inFeatures || panel + lane >= outFeatures)) {
            fail("data", `number ${e} is padding and must be 0, got ${data[e]}`);
          }
        }
      }
    }
  }
  checkSums(sums, parts, fail);
}

function checkSelection(matrix: Of<"channels" | "gated-rows">, parts: Parts, fail: FailPart): void {
  const entries = matrix.format === "channels" ? matrix.inFeatures : matrix.outFeatures;
  if (matrix.selection.rule === "largest") {
    if (matrix.selection.keep > entries) {
      fail("data", `its selection must keep at most ${entries} entries, got ${matrix.selection.keep}`);
    }
  } else {
    const { length } = parts.get("thresholds") as TensorData;
    if (length !== 1 && length !== entries) fail("thresholds", `it must hold 1 or ${entries} numbers, got ${length}`);
  }
  if (matrix.format === "channels" && matrix.lowRank) {
    const most = Math.min(matrix.inFeatures, matrix.outFeatures);
    if (matrix.lowRank.rank > most) fail("low_rank.inputs", `rank must be at most ${most}, got ${matrix.lowRank.rank}`);
  }
}
