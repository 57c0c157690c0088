import { PANEL, paddedInputs } from "@winnow/core";
import { popcount } from "../zero-statistics.js";
import type { MatrixDescription } from "./description.js";
import type { Parts } from "./parts.js";

/** Reports what is wrong with a section. */
export type FailPart = (part: string, problem: string) => never;

/** Zeros after the values, so that a vector load never leaves the buffer. */
const TAIL_BYTES = 64;

/** Checks that bitmap, values, offsets and sums of one matrix agree, and that padding is empty. */
export function checkBitmap(
  matrix: MatrixDescription & { readonly format: "bitmap" },
  parts: Parts,
  fail: FailPart,
): void {
  const bitmap = parts.get("bitmap") as Uint32Array;
  const values = parts.get("values") as Uint16Array | Int8Array;
  const count = values.length - TAIL_BYTES / values.BYTES_PER_ELEMENT;
  if (count < 0 || values.subarray(count).some((value) => value !== 0)) {
    fail("values", `it must end with ${TAIL_BYTES} bytes of zeros`);
  }
  checkPadding(matrix, bitmap, fail);
  checkOffsets(bitmap, parts.get("offsets") as Uint32Array, count, fail);
  if (matrix.dtype === "int8") checkSums(rowSums(matrix, bitmap, values as Int8Array), parts, fail);
}

function checkOffsets(bitmap: Uint32Array, offsets: Uint32Array, count: number, fail: FailPart): void {
  const panels = offsets.length - 1;
  const words = bitmap.length / panels;
  let stored = 0;
  for (let panel = 0; panel <= panels; panel++) {
    if (offsets[panel] !== stored) {
      fail("offsets", `panel ${panel} must start at ${stored} according to the bitmap, got ${offsets[panel]}`);
    }
    if (panel === panels) break;
    for (let word = panel * words; word < (panel + 1) * words; word++) stored += popcount(bitmap[word]);
  }
  if (stored !== count) fail("values", `the bitmap marks ${stored} values, got ${count}`);
}

/** Bits of rows and inputs that the matrix does not have must not be set: they lie in the last panel, and in the last step of each. */
function checkPadding(matrix: MatrixDescription, bitmap: Uint32Array, fail: FailPart): void {
  const { together, wordsPerStep, steps, panels } = layoutOf(matrix);
  const lastLanes = matrix.outFeatures - (panels - 1) * PANEL;
  const lastInputs = matrix.inFeatures - (steps - 1) * together;
  const checkStep = (step: number, lanes: number, inputs: number) => {
    for (let place = 0; place < wordsPerStep * 32; place++) {
      if (Math.floor(place / together) < lanes && place % together < inputs) continue;
      const word = step * wordsPerStep + (place >>> 5);
      if ((bitmap[word] >>> (place & 31)) & 1)
        fail("bitmap", `bit ${place & 31} of word ${word} is padding and must be 0`);
    }
  };
  if (lastLanes < PANEL)
    for (let step = 0; step < steps; step++) checkStep((panels - 1) * steps + step, lastLanes, together);
  if (lastInputs < together)
    for (let panel = 0; panel < panels; panel++) checkStep(panel * steps + steps - 1, PANEL, lastInputs);
}

function rowSums(matrix: MatrixDescription, bitmap: Uint32Array, values: Int8Array): Int32Array {
  const { together, wordsPerStep, steps, panels } = layoutOf(matrix);
  const sums = new Int32Array(panels * PANEL);
  let next = 0;
  for (let word = 0; word < bitmap.length; word++) {
    const firstRow = Math.floor(word / (wordsPerStep * steps)) * PANEL;
    const firstLane = ((word % wordsPerStep) * 32) / together;
    for (let bits = bitmap[word]; bits !== 0; bits &= bits - 1) {
      const bit = 31 - Math.clz32(bits & -bits);
      sums[firstRow + firstLane + Math.floor(bit / together)] += values[next++];
    }
  }
  return sums;
}

/** A panel is a run of steps, each `together` neighbouring inputs of 16 outputs. */
function layoutOf({ dtype, outFeatures, inFeatures }: MatrixDescription) {
  const together = dtype === "int8" ? 4 : 2;
  return {
    together,
    wordsPerStep: (PANEL * together) / 32,
    steps: paddedInputs(dtype, inFeatures) / together,
    panels: Math.ceil(outFeatures / PANEL),
  };
}

/** Compares the stored sums of rows with those that the values give. */
export function checkSums(actual: Int32Array, parts: Parts, fail: FailPart): void {
  const sums = parts.get("sums") as Int32Array;
  const wrong = sums.findIndex((sum, row) => sum !== actual[row]);
  if (wrong >= 0) fail("sums", `row ${wrong} must be ${actual[wrong]}, the sum of its values, got ${sums[wrong]}`);
}
