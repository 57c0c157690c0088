import { describe, expect, it } from "vitest";
import {
  channelsWeight,
  type DenseWeight,
  fromBf16,
  gatedRowsWeight,
  type Selection,
  sharedFloats,
  toBf16,
} from "./index.js";

/** [[1, 2, 3], [-4, 0, 0.5]] */
const dense: DenseWeight = {
  format: "dense",
  dtype: "f32",
  outFeatures: 2,
  inFeatures: 3,
  data: Float32Array.of(1, 2, 3, -4, 0, 0.5),
  bias: Float32Array.of(7, 8),
};
const asBf16: DenseWeight = { ...dense, dtype: "bf16", data: Uint16Array.from(dense.data, toBf16) };
const selection: Selection = { rule: "largest", keep: 1 };

describe("channelsWeight", () => {
  it("is the transposed matrix, one row for each input, in shared memory", () => {
    const weight = channelsWeight(dense, "f32", selection);
    expect(weight).toEqual({ ...dense, format: "channels", selection, data: Float32Array.of(1, -4, 2, 0, 3, 0.5) });
    expect(weight.data.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it.each([
    ["f32", dense],
    ["bf16", asBf16],
  ] as const)("converts %s to either type", (_, weight) => {
    expect([...channelsWeight(weight, "f32", selection).data]).toEqual([1, -4, 2, 0, 3, 0.5]);
    expect(Array.from(channelsWeight(weight, "bf16", selection).data, fromBf16)).toEqual([1, -4, 2, 0, 3, 0.5]);
  });

  it("bf16 rounds to nearest: 1 + 2^-9 becomes 1, 1 + 3 * 2^-9 becomes 1 + 2^-7", () => {
    const data = Float32Array.of(1 + 2 ** -9, 1 + 3 * 2 ** -9);
    const weight = channelsWeight({ ...dense, outFeatures: 2, inFeatures: 1, data }, "bf16", selection);
    expect(Array.from(weight.data, fromBf16)).toEqual([1, 1 + 2 ** -7]);
  });

  it("carries the factors; has neither factors nor bias if there are none", () => {
    const lowRank = { rank: 1, dtype: "f32", inputs: new Float32Array(3), outputs: new Float32Array(2) } as const;
    expect(channelsWeight(dense, "f32", selection, lowRank).lowRank).toBe(lowRank);
    const { bias, ...unbiased } = dense;
    expect(bias).toBeDefined();
    expect(Object.keys(channelsWeight(unbiased, "f32", selection))).not.toContain("bias");
    expect(Object.keys(channelsWeight(unbiased, "f32", selection))).not.toContain("lowRank");
  });
});

describe("gatedRowsWeight", () => {
  it("is the matrix row by row, in shared memory", () => {
    const weight = gatedRowsWeight(dense, "f32", selection);
    expect(weight).toEqual({ ...dense, format: "gated-rows", selection });
    expect(weight.data.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(weight.data).not.toBe(dense.data);
  });

  it("converts between the types", () => {
    expect(gatedRowsWeight(dense, "bf16", selection)).toMatchObject({ dtype: "bf16", data: asBf16.data });
    expect(gatedRowsWeight(asBf16, "f32", selection)).toMatchObject({ dtype: "f32", data: dense.data });
  });
});

it("sharedFloats gives zeros of the type that the name stands for", () => {
  expect(sharedFloats("f32", 3)).toEqual(new Float32Array(3));
  expect(sharedFloats("bf16", 3)).toEqual(new Uint16Array(3));
  expect(sharedFloats("f32", 0).length).toBe(0);
});
