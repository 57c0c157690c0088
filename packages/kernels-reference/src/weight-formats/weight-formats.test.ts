import {
  type BitmapWeight,
  type DenseWeight,
  type FloatDtype,
  fromBf16,
  type GroupsWeight,
  type Int8PanelWeight,
  type LinearWeight,
  panelElements,
  panelIndex,
  placeBits,
  toBf16,
} from "@winnow/core";
import { describe, expect, it } from "vitest";
import { createReference } from "../index.js";

const reference = createReference();

/** [outFeatures, inFeatures] */
const shapes = [
  [1, 1],
  [16, 8],
  [17, 5],
  [33, 18],
] as const;

/** Whole numbers -9..9, exact in every type; about half are zeros, some of them -0. */
function wholes(outFeatures: number, inFeatures: number): DenseWeight {
  const data = Float32Array.from({ length: outFeatures * inFeatures }, (_, e) => {
    const value = ((e * 7919 + 13) % 19) - 9;
    return value % 2 === 0 ? value : e % 3 === 0 ? -0 : 0;
  });
  return { format: "dense", dtype: "f32", outFeatures, inFeatures, data };
}

function forEachWeight(weight: DenseWeight, visit: (o: number, i: number, value: number) => void): void {
  weight.data.forEach((value, e) => {
    visit(Math.floor(e / weight.inFeatures), e % weight.inFeatures, value);
  });
}

describe.each(shapes)("%i x %i", (outFeatures, inFeatures) => {
  const weight = wholes(outFeatures, inFeatures);

  it.each<FloatDtype>(["f32", "bf16"])("dense-panel16 %s: weight (o, i) at panelIndex, zeros elsewhere", (dtype) => {
    const { data } = reference.packWeight(weight, dtype) as DenseWeight;
    const expected = new Float32Array(panelElements(dtype, outFeatures, inFeatures));
    forEachWeight(weight, (o, i, value) => {
      expected[panelIndex(dtype, inFeatures, o, i)] = value;
    });
    expect(Float32Array.from(data, dtype === "bf16" ? fromBf16 : Number)).toEqual(expected);
  });

  it("int8-panel16: weight (o, i) at panelIndex is within half a scale, sums add up", () => {
    const { data, scales, sums } = reference.encodeWeight(weight, { format: "int8-panel16" }) as Int8PanelWeight;
    const totals = new Int32Array(outFeatures);
    forEachWeight(weight, (o, i, value) => {
      const stored = data[panelIndex("int8", inFeatures, o, i)];
      expect(Math.abs(stored * scales[o] - value)).toBeLessThanOrEqual(scales[o] / 2 + 1e-6);
      totals[o] += stored;
    });
    expect(sums).toEqual(totals);
    expect(data.reduce((sum, value) => sum + value, 0)).toBe(totals.reduce((sum, value) => sum + value, 0));
    for (let o = 0; o < outFeatures; o++) {
      const largest = Math.max(...weight.data.subarray(o * inFeatures, (o + 1) * inFeatures).map(Math.abs));
      expect(scales[o]).toBe(Math.fround(largest / 127));
    }
  });

  it.each(["bf16", "int8"] as const)(
    "bitmap %s: the dense layout without its zeros, 64 bytes of them behind",
    (dtype) => {
      const dense = reference.encodeWeight(
        weight,
        dtype === "int8" ? { format: "int8-panel16" } : { format: "dense-panel16", dtype },
      ) as DenseWeight;
      const encoded = reference.encodeWeight(weight, { format: "bitmap", dtype }) as BitmapWeight;
      const stored: number[] = [];
      const offsets = [0];
      const panelSize = dense.data.length / Math.ceil(outFeatures / 16);
      dense.data.forEach((value, e) => {
        const isSet = Math.floor(encoded.bitmap[Math.floor(e / 32)] / 2 ** (e % 32)) % 2 === 1;
        const isZero = value === 0 || (dtype === "bf16" && value === 0x8000);
        expect(isSet).toBe(!isZero);
        if (!isZero) stored.push(value);
        if ((e + 1) % panelSize === 0) offsets.push(stored.length);
      });
      expect([...encoded.offsets]).toEqual(offsets);
      expect([...encoded.values]).toEqual([...stored, ...new Array(dtype === "int8" ? 64 : 32).fill(0)]);
    },
  );

  it.each([
    [2, 2],
    [3, 4],
    [8, 8],
    [16, 16],
  ])("groups %i:%i: values and places of a row, read back one by one", (keep, of) => {
    const target = { format: "groups", keep, of } as const;
    const fitting = {
      ...weight,
      data: weight.data.map((v, e) => ((e % inFeatures) % of < keep ? v : 0)) as Float32Array,
    };
    const { values, places } = reference.encodeWeight(fitting, target) as GroupsWeight;
    const { bits, words } = placeBits(of);
    const groups = Math.ceil(inFeatures / of);
    expect([values.length, places.length]).toEqual([
      Math.ceil(outFeatures / 16) * groups * keep * 16,
      Math.ceil(outFeatures / 16) * groups * keep * words,
    ]);
    const expected = new Map<string, number>();
    forEachWeight(fitting, (o, i, value) => value !== 0 && expected.set(`${o},${i}`, value));
    const found = new Map<string, number>();
    values.forEach((stored, e) => {
      if (stored === 0) return;
      const [lane, slot] = [e % 16, Math.floor(e / 16)];
      const word = places[slot * words + Math.floor((bits * lane) / 32)];
      const place = Math.floor(word / 2 ** ((bits * lane) % 32)) % 2 ** bits;
      const group = Math.floor(slot / keep) % groups;
      const o = Math.floor(slot / keep / groups) * 16 + lane;
      found.set(`${o},${group * of + place}`, fromBf16(stored));
    });
    expect(new Map([...found].sort())).toEqual(new Map([...expected].sort()));
  });
});

describe("checks", () => {
  const dense = wholes(17, 6);
  const bitmap = reference.encodeWeight(dense, { format: "bitmap", dtype: "bf16" }) as BitmapWeight;
  const int8 = reference.encodeWeight(dense, { format: "int8-panel16" }) as Int8PanelWeight;
  const groups = reference.encodeWeight(
    { ...dense, data: dense.data.map((value, e) => (e % 2 === 0 ? value : 0)) as Float32Array },
    { format: "groups", keep: 1, of: 2 },
  ) as GroupsWeight;

  function changed<T extends Uint32Array | Uint16Array | Int32Array>(array: T, index: number, value: number): T {
    const copy = array.slice() as T;
    copy[index] = value;
    return copy;
  }

  it.each<[string, LinearWeight, RegExp]>([
    [
      "offsets that disagree with the bitmap",
      { ...bitmap, offsets: changed(bitmap.offsets, 1, 3) },
      /offsets\[1\] must be \d+/,
    ],
    [
      "bits in the padding of the second panel",
      { ...bitmap, ...extraBit(bitmap) },
      /bitmap must mark only weights of 17 x 6, got one at \(31, 5\)/,
    ],
    [
      "something in the tail",
      { ...bitmap, values: changed(bitmap.values as Uint16Array, bitmap.values.length - 1, 1) },
      /64 bytes of zeros/,
    ],
    ["sums that are not those of the rows", { ...int8, sums: changed(int8.sums, 2, 1e6) }, /sums\[2\] must be the sum/],
    [
      "a value in the padding",
      { ...groups, values: changed(groups.values, groups.values.length - 1, toBf16(1)) },
      /row 31, group 2 must be 0/,
    ],
  ])("%s are refused with ERR_WEIGHT_FORMAT", (_, weight, message) => {
    expect(() => reference.decodeWeight(weight)).toThrow(
      expect.objectContaining({ code: "ERR_WEIGHT_FORMAT", message: expect.stringMatching(message) }),
    );
  });

  /** Element (31, 5) is marked, and one more value stored for it. */
  function extraBit({ bitmap: bits, values, offsets }: BitmapWeight) {
    const e = panelIndex("bf16", 6, 31, 5);
    const stored = offsets[2];
    const longer = new Uint16Array(values.length + 1);
    longer.set(values.subarray(0, stored));
    longer[stored] = toBf16(1);
    const word = Math.floor(e / 32);
    return {
      bitmap: changed(bits, word, bits[word] | (1 << (e % 32))),
      values: longer,
      offsets: changed(offsets, 2, stored + 1),
    };
  }
});
