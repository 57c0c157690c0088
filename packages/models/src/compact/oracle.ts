import {
  type DenseWeight,
  fromBf16,
  type LinearWeight,
  panelElements,
  panelIndex,
  placeBits,
  toBf16,
} from "@winnow/core";
import type { CompactWeight } from "./description.js";

/** For tests only: matrices in every format, made weight by weight from the definitions in core. */

export interface Example {
  readonly weight: CompactWeight;
  /** The numbers that it stands for, `[out][in]`. */
  readonly numbers: readonly (readonly number[])[];
}

type Make = (out: number, inputs: number, bias?: Float32Array) => Example;

export const examples: Readonly<Record<string, Make>> = {
  "bitmap bf16": (out, inputs, bias) => bitmap("bf16", out, inputs, bias),
  "bitmap int8": (out, inputs, bias) => bitmap("int8", out, inputs, bias),
  "groups 1:2": (out, inputs, bias) => groups(1, 2, out, inputs, bias),
  "groups 2:4": (out, inputs, bias) => groups(2, 4, out, inputs, bias),
  "groups 3:8": (out, inputs, bias) => groups(3, 8, out, inputs, bias),
  "groups 8:16": (out, inputs, bias) => groups(8, 16, out, inputs, bias),
  "int8-panel16": int8Panels,
  "channels f32 with thresholds": (out, inputs, bias) => channels("f32", out, inputs, bias, { each: true }),
  "channels bf16 with low rank": (out, inputs, bias) => channels("bf16", out, inputs, bias, { rank: 2 }),
  "gated-rows bf16": gatedRows,
};

/** Numbers that bf16 holds exactly; about `zeros` of them 0. */
function numbersOf(out: number, inputs: number, zeros: (o: number, i: number) => boolean): number[][] {
  return Array.from({ length: out }, (_, o) =>
    Array.from({ length: inputs }, (_, i) => (zeros(o, i) ? 0 : (((7 * o + 13 * i) % 31) + 1) / 16)),
  );
}

const half = (o: number, i: number) => (o * 5 + i * 3) % 7 < 4 || o === 1;

function bitmap(dtype: "bf16" | "int8", out: number, inputs: number, bias?: Float32Array): Example {
  const numbers = numbersOf(out, inputs, half);
  const scales = Float32Array.from(numbers, (row) => Math.max(...row) / 127);
  const quantised = numbers.map((row, o) => row.map((w) => (w === 0 ? 0 : Math.round(w / scales[o]))));
  const padded = new Float64Array(panelElements(dtype, out, inputs));
  for (let o = 0; o < out; o++)
    for (let i = 0; i < inputs; i++)
      padded[panelIndex(dtype, inputs, o, i)] = dtype === "int8" ? quantised[o][i] : toBf16(numbers[o][i]);
  const words = new Uint32Array(padded.length / 32);
  const panels = Math.ceil(out / 16);
  const offsets = new Uint32Array(panels + 1);
  const stored: number[] = [];
  padded.forEach((value, e) => {
    if (value === 0) return;
    words[e >>> 5] |= 1 << (e & 31);
    stored.push(value);
    for (let panel = Math.floor(e / (padded.length / panels)) + 1; panel <= panels; panel++) offsets[panel]++;
  });
  const shape = { outFeatures: out, inFeatures: inputs, bitmap: words, offsets, ...(bias && { bias }) };
  if (dtype === "bf16") {
    const values = Uint16Array.from([...stored, ...new Array(32).fill(0)]);
    return { weight: { format: "bitmap", dtype, ...shape, values }, numbers };
  }
  const values = Int8Array.from([...stored, ...new Array(64).fill(0)]);
  const weight = { format: "bitmap", dtype, ...shape, values, scales, sums: sumsOf(quantised) } as const;
  return { weight, numbers: scaled(quantised, scales) };
}

function int8Panels(out: number, inputs: number, bias?: Float32Array): Example {
  const numbers = numbersOf(out, inputs, () => false);
  const scales = Float32Array.from(numbers, (row) => Math.max(...row) / 127);
  const quantised = numbers.map((row, o) => row.map((w, i) => (i % 2 ? 1 : -1) * Math.round(w / scales[o])));
  const data = new Int8Array(panelElements("int8", out, inputs));
  for (let o = 0; o < out; o++)
    for (let i = 0; i < inputs; i++) data[panelIndex("int8", inputs, o, i)] = quantised[o][i];
  const shape = { outFeatures: out, inFeatures: inputs, ...(bias && { bias }) };
  const weight = { format: "int8-panel16", dtype: "int8", ...shape, data, scales, sums: sumsOf(quantised) } as const;
  return { weight, numbers: scaled(quantised, scales) };
}

const sumsOf = (rows: number[][]) => Int32Array.from(rows, (row) => row.reduce((sum, q) => sum + q, 0));

const scaled = (rows: number[][], scales: Float32Array) =>
  rows.map((row, o) => row.map((q) => Math.fround(q * scales[o]) + 0));

function groups(keep: number, of: number, out: number, inputs: number, bias?: Float32Array): Example {
  const numbers = numbersOf(out, inputs, (o, i) => ((i % of) + o) % of >= keep || (o + i) % 11 === 0);
  const blocks = Math.ceil(inputs / of);
  const panels = Math.ceil(out / 16);
  const { bits, words } = placeBits(of);
  const values = new Uint16Array(panels * blocks * keep * 16);
  const places = new Uint32Array(panels * blocks * keep * words);
  for (let o = 0; o < out; o++) {
    for (let block = 0; block < blocks; block++) {
      let slot = (Math.floor(o / 16) * blocks + block) * keep;
      for (let i = block * of; i < Math.min((block + 1) * of, inputs); i++) {
        if (numbers[o][i] === 0) continue;
        values[slot * 16 + (o % 16)] = toBf16(numbers[o][i]);
        const bit = bits * (o % 16);
        places[slot * words + (bit >>> 5)] |= (i % of) << (bit & 31);
        slot++;
      }
    }
  }
  const shape = { outFeatures: out, inFeatures: inputs, ...(bias && { bias }) };
  return { weight: { format: "groups", dtype: "bf16", ...shape, keep, of, values, places }, numbers };
}

function channels(
  dtype: "f32" | "bf16",
  out: number,
  inputs: number,
  bias: Float32Array | undefined,
  { each = false, rank }: { each?: boolean; rank?: number },
): Example {
  const numbers = numbersOf(out, inputs, () => false);
  const ramp = (length: number) => Float32Array.from({ length }, (_, j) => (j + 1) / 8);
  const floats = (values: Float32Array) => (dtype === "f32" ? values : Uint16Array.from(values, toBf16));
  const transposed = Float32Array.from({ length: out * inputs }, (_, e) => numbers[e % out][Math.floor(e / out)]);
  const selection = each
    ? ({ rule: "threshold", thresholds: ramp(inputs) } as const)
    : ({ rule: "largest", keep: Math.ceil(inputs / 2), scale: ramp(inputs) } as const);
  const lowRank = rank && { rank, dtype, inputs: floats(ramp(inputs * rank)), outputs: floats(ramp(rank * out)) };
  const shape = { outFeatures: out, inFeatures: inputs, ...(bias && { bias }), ...(lowRank && { lowRank }) };
  return { weight: { format: "channels", dtype, ...shape, data: floats(transposed), selection }, numbers };
}

function gatedRows(out: number, inputs: number, bias?: Float32Array): Example {
  const numbers = numbersOf(out, inputs, () => false);
  const data = Uint16Array.from(numbers.flat(), toBf16);
  const selection = {
    rule: "threshold",
    thresholds: Float32Array.of(0.25),
    scale: new Float32Array(out).fill(2),
  } as const;
  const shape = { outFeatures: out, inFeatures: inputs, data, selection, ...(bias && { bias }) };
  return { weight: { format: "gated-rows", dtype: "bf16", ...shape }, numbers };
}

/** Decodes by looking each weight up; independent of kernel packages. */
export function decodeWeight(weight: LinearWeight): DenseWeight {
  const { outFeatures, inFeatures } = weight;
  const data = new Float32Array(outFeatures * inFeatures);
  for (let o = 0; o < outFeatures; o++)
    for (let i = 0; i < inFeatures; i++) data[o * inFeatures + i] = weightAt(weight, o, i);
  return { format: "dense", dtype: "f32", outFeatures, inFeatures, data };
}

function weightAt(weight: LinearWeight, o: number, i: number): number {
  const { inFeatures, outFeatures } = weight;
  const float = (data: Float32Array | Uint16Array, e: number) =>
    data instanceof Float32Array ? data[e] : fromBf16(data[e]);
  switch (weight.format) {
    case "dense":
    case "gated-rows":
      return float(weight.data, o * inFeatures + i);
    case "channels":
      return float(weight.data, i * outFeatures + o);
    case "dense-panel16":
      return float(weight.data, panelIndex(weight.dtype, inFeatures, o, i));
    case "int8-panel16":
      return weight.scales[o] * weight.data[panelIndex("int8", inFeatures, o, i)];
    case "groups":
      return groupsAt(weight, o, i);
    case "bitmap": {
      const place = panelIndex(weight.dtype, inFeatures, o, i);
      const bit = (e: number) => (weight.bitmap[e >>> 5] >>> (e & 31)) & 1;
      if (!bit(place)) return 0;
      let before = 0;
      for (let e = 0; e < place; e++) before += bit(e);
      const value = weight.values[before];
      return weight.dtype === "int8" ? (weight.scales as Float32Array)[o] * value : fromBf16(value);
    }
  }
}

function groupsAt(weight: LinearWeight & { format: "groups" }, o: number, i: number): number {
  const { bits, words } = placeBits(weight.of);
  const first =
    (Math.floor(o / 16) * Math.ceil(weight.inFeatures / weight.of) + Math.floor(i / weight.of)) * weight.keep;
  const bit = bits * (o % 16);
  for (let slot = first; slot < first + weight.keep; slot++) {
    const place = (weight.places[slot * words + (bit >>> 5)] >>> (bit & 31)) & (2 ** bits - 1);
    const value = weight.values[slot * 16 + (o % 16)];
    if (value !== 0 && place === i % weight.of) return fromBf16(value);
  }
  return 0;
}
