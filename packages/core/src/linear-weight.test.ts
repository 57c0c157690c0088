import { describe, expect, it } from "vitest";
import {
  type DenseWeight,
  type LinearWeight,
  PANEL,
  paddedInputs,
  panelElements,
  panelIndex,
  placeBits,
  weightBytes,
} from "./index.js";

const dtypes = ["f32", "bf16", "int8"] as const;

describe("panel layouts", () => {
  it("paddedInputs rounds up to 1, 2 and 4 inputs of a lane", () => {
    expect([1, 2, 3, 4, 5].map((inputs) => paddedInputs("f32", inputs))).toEqual([1, 2, 3, 4, 5]);
    expect([1, 2, 3, 4, 5].map((inputs) => paddedInputs("bf16", inputs))).toEqual([2, 2, 4, 4, 6]);
    expect([1, 2, 3, 4, 5].map((inputs) => paddedInputs("int8", inputs))).toEqual([4, 4, 4, 4, 8]);
  });

  it("panelElements rounds the outputs up to panels of 16", () => {
    expect(PANEL).toBe(16);
    expect(panelElements("f32", 1, 3)).toBe(16 * 3);
    expect(panelElements("bf16", 16, 3)).toBe(16 * 4);
    expect(panelElements("int8", 17, 3)).toBe(32 * 4);
  });

  it("panelIndex of (o, i): inputs of a lane adjacent, then 16 outputs, then steps, then panels", () => {
    expect(panelIndex("f32", 5, 3, 2)).toBe(2 * 16 + 3);
    expect(panelIndex("bf16", 5, 3, 3)).toBe((1 * 16 + 3) * 2 + 1);
    expect(panelIndex("int8", 5, 3, 4)).toBe((1 * 16 + 3) * 4);
    expect(panelIndex("f32", 5, 18, 0)).toBe(5 * 16 + 2);
    expect(panelIndex("bf16", 5, 18, 0)).toBe((3 * 16 + 2) * 2);
    expect(panelIndex("int8", 5, 18, 0)).toBe((2 * 16 + 2) * 4);
  });

  it.each(dtypes)("%s: no two weights share a place, and the padded ones fill the rest", (dtype) => {
    for (const [outFeatures, inFeatures] of [
      [1, 1],
      [17, 5],
      [32, 8],
      [33, 6],
    ]) {
      const seen = new Set<number>();
      for (let o = 0; o < Math.ceil(outFeatures / 16) * 16; o++) {
        for (let i = 0; i < paddedInputs(dtype, inFeatures); i++) seen.add(panelIndex(dtype, inFeatures, o, i));
      }
      const elements = panelElements(dtype, outFeatures, inFeatures);
      expect([seen.size, Math.min(...seen), Math.max(...seen)]).toEqual([elements, 0, elements - 1]);
    }
  });
});

it("placeBits: 16 places of a group fit in the words: 2 bits up to 4 neighbours, 4 bits up to 16", () => {
  expect([2, 4].map(placeBits)).toEqual([
    { bits: 2, words: 1 },
    { bits: 2, words: 1 },
  ]);
  expect([8, 16].map(placeBits)).toEqual([
    { bits: 4, words: 2 },
    { bits: 4, words: 2 },
  ]);
});

describe("weightBytes", () => {
  const shape = { outFeatures: 16, inFeatures: 4 };
  const dense: DenseWeight = { format: "dense", dtype: "f32", ...shape, data: new Float32Array(64) };
  const selection = { rule: "threshold", thresholds: new Float32Array(4) } as const;
  const int8 = { scales: new Float32Array(16), sums: new Int32Array(16) };

  it.each<[string, LinearWeight, number]>([
    ["dense f32: 4 a weight", dense, 256],
    ["dense with bias: 4 more an output", { ...dense, bias: new Float32Array(16) }, 256 + 64],
    ["dense bf16: 2 a weight", { ...dense, dtype: "bf16", data: new Uint16Array(64) }, 128],
    ["panels", { ...dense, format: "dense-panel16" }, 256],
    [
      "int8: 1 a weight, scales and sums",
      { format: "int8-panel16", dtype: "int8", ...shape, data: new Int8Array(64), ...int8 },
      64 + 64 + 64,
    ],
    [
      "bitmap bf16: bits, values with their tail, offsets",
      {
        format: "bitmap",
        dtype: "bf16",
        ...shape,
        bitmap: new Uint32Array(2),
        values: new Uint16Array(10 + 32),
        offsets: new Uint32Array(2),
      },
      8 + 20 + 64 + 8,
    ],
    [
      "bitmap int8: also scales and sums",
      {
        format: "bitmap",
        dtype: "int8",
        ...shape,
        bitmap: new Uint32Array(2),
        values: new Int8Array(10 + 64),
        offsets: new Uint32Array(2),
        ...int8,
      },
      8 + 10 + 64 + 8 + 128,
    ],
    [
      "groups: values and places",
      {
        format: "groups",
        dtype: "bf16",
        keep: 2,
        of: 4,
        ...shape,
        values: new Uint16Array(32),
        places: new Uint32Array(2),
      },
      64 + 8,
    ],
    ["channels without factors", { ...dense, format: "channels", selection }, 256],
    [
      "channels with factors of rank 1",
      {
        ...dense,
        format: "channels",
        selection,
        lowRank: { rank: 1, dtype: "bf16", inputs: new Uint16Array(4), outputs: new Uint16Array(16) },
      },
      256 + 8 + 32,
    ],
    ["gated-rows", { ...dense, format: "gated-rows", selection }, 256],
  ])("%s", (_, weight, bytes) => {
    expect(weightBytes(weight)).toBe(bytes);
  });
});
