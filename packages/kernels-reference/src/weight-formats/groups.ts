import { type DenseWeight, type GroupsWeight, PANEL, placeBits, toBf16 } from "@winnow/core";
import { check, checkPart, checkPartArray } from "../check.js";
import { checkShape, denseOf, readDenseRow, widen } from "./dense.js";
import { shared, sharedShape } from "./shared.js";

/** Missing weights have value 0 and place 0 and come after the others of their group. */
export function encodeGroups(weight: DenseWeight, keep: number, of: number): GroupsWeight {
  checkPattern("encodeWeight", keep, of);
  const { outFeatures, inFeatures } = weight;
  const slots = Math.ceil(outFeatures / PANEL) * Math.ceil(inFeatures / of) * keep;
  const values = shared(Uint16Array, slots * PANEL);
  const places = shared(Uint32Array, slots * placeBits(of).words);
  const encoded: GroupsWeight = { format: "groups", dtype: "bf16", keep, of, ...sharedShape(weight), values, places };
  const row = new Float32Array(inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    readDenseRow(weight, o, row);
    writeRow(encoded, o, row.map(toBf16));
  }
  return encoded;
}

export function decodeGroups(weight: GroupsWeight): DenseWeight {
  return denseOf(weight, "bf16", (o, row) => readGroupsRow(weight, o, row));
}

/** Row `o` as numbers. */
export function readGroupsRow(weight: GroupsWeight, o: number, row: Float32Array): void {
  const { keep, of, inFeatures, values } = weight;
  row.fill(0);
  for (let group = 0; group * of < inFeatures; group++) {
    for (let slot = 0; slot < keep; slot++) {
      const index = slotIndex(weight, o, group, slot);
      const value = values[index * PANEL + (o % PANEL)];
      if (!isZero(value)) row[group * of + placeAt(weight, index, o % PANEL)] = value;
    }
  }
  widen(row);
}

export function checkGroups(operation: string, weight: GroupsWeight): void {
  checkShape(operation, weight);
  const { dtype, keep, of, outFeatures, inFeatures, values, places } = weight;
  checkPart(dtype === "bf16", operation, "dtype", 'be "bf16"', dtype);
  checkPattern(operation, keep, of);
  const slots = Math.ceil(outFeatures / PANEL) * Math.ceil(inFeatures / of) * keep;
  checkPartArray(operation, "values", values, Uint16Array, slots * PANEL);
  checkPartArray(operation, "places", places, Uint32Array, slots * placeBits(of).words);
  for (let o = 0; o < Math.ceil(outFeatures / PANEL) * PANEL; o++) {
    for (let group = 0; group * of < inFeatures; group++) checkGroup(operation, weight, o, group);
  }
}

function checkGroup(operation: string, weight: GroupsWeight, o: number, group: number): void {
  const { keep, of, inFeatures, outFeatures, values } = weight;
  const size = Math.min(of, inFeatures - group * of);
  let lowest = 0;
  for (let slot = 0; slot < keep; slot++) {
    const index = slotIndex(weight, o, group, slot);
    const present = !isZero(values[index * PANEL + (o % PANEL)]);
    const place = placeAt(weight, index, o % PANEL);
    // A kernel reads x there even if the value is 0.
    const minimum = present ? lowest : 0;
    if (place < minimum || place >= size) {
      const part = `place ${slot} of row ${o}, group ${group}`;
      checkPart(false, operation, part, `be in ${minimum}..${size - 1} (ascending)`, place);
    }
    if (!present) continue;
    lowest = place + 1;
    if (o >= outFeatures)
      checkPart(false, operation, `value of row ${o}, group ${group}`, "be 0 in the padding", "another");
  }
}

function checkPattern(operation: string, keep: number, of: number): void {
  check([2, 4, 8, 16].includes(of), operation, "of", "be 2, 4, 8 or 16", of);
  const fits = Number.isInteger(keep) && keep >= 1 && keep <= of;
  check(fits, operation, "keep", `be an integer in 1..${of}`, keep);
}

function writeRow(weight: GroupsWeight, o: number, row: Float32Array): void {
  const { keep, of, values, places } = weight;
  const { bits, words } = placeBits(of);
  const firstBit = bits * (o % PANEL);
  for (let group = 0; group * of < row.length; group++) {
    const end = Math.min(row.length, (group + 1) * of);
    let slot = 0;
    for (let i = group * of; i < end; i++) {
      if (isZero(row[i])) continue;
      const wanted = `have at most ${keep} non-zeros in row ${o}, group ${group} (inputs ${group * of}..${end - 1})`;
      if (slot === keep) checkPart(false, "encodeWeight", "data", wanted, "more");
      const index = slotIndex(weight, o, group, slot++);
      values[index * PANEL + (o % PANEL)] = row[i];
      places[index * words + (firstBit >>> 5)] |= (i % of) << (firstBit & 31);
    }
  }
}

function slotIndex({ keep, of, inFeatures }: GroupsWeight, o: number, group: number, slot: number): number {
  return (Math.floor(o / PANEL) * Math.ceil(inFeatures / of) + group) * keep + slot;
}

function placeAt({ of, places }: GroupsWeight, index: number, lane: number): number {
  const { bits, words } = placeBits(of);
  const firstBit = bits * lane;
  return (places[index * words + (firstBit >>> 5)] >>> (firstBit & 31)) & ((1 << bits) - 1);
}

/** -0 is zero too. */
function isZero(bf16: number): boolean {
  return (bf16 & 0x7fff) === 0;
}
