import { type DenseWeight, fromBf16, type LinearWeight, toBf16 } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { createReference } from "./index.js";

const reference = createReference();

/** [[1, 2, 3], [-1, 0, 0.5]] */
const weight: DenseWeight = {
  format: "dense",
  dtype: "f32",
  outFeatures: 2,
  inFeatures: 3,
  data: Float32Array.of(1, 2, 3, -1, 0, 0.5),
};
const withBias: DenseWeight = { ...weight, bias: Float32Array.of(10, 20) };

function run(
  x: number[],
  rows: number,
  w: LinearWeight,
  out = new Float32Array(rows * w.outFeatures),
  accumulate = false,
) {
  reference.linear(Float32Array.from(x), rows, w, out, accumulate);
  return [...out];
}

describe("linear", () => {
  it("W x of two rows", () => {
    expect(run([1, 1, 1, 2, 0, 4], 2, weight)).toEqual([6, -0.5, 14, 0]);
  });

  it("W x + b", () => {
    expect(run([1, 1, 1], 1, withBias)).toEqual([16, 19.5]);
  });

  it("accumulate adds W x + b to what is there", () => {
    expect(run([1, 1, 1], 1, withBias, Float32Array.of(100, 200), true)).toEqual([116, 219.5]);
  });

  it.each(["f32", "bf16"] as const)("panels of %s give the same as the dense weight, bias included", (dtype) => {
    const packed = reference.packWeight(withBias, dtype);
    expect(run([1, 1, 1, 2, 0, 4], 2, packed)).toEqual([16, 19.5, 24, 20]);
  });

  it("bf16 weights see activations rounded to bf16: 1 + 2^-9 becomes 1, 1 + 3 * 2^-9 becomes 1 + 2^-7", () => {
    const one: DenseWeight = {
      format: "dense",
      dtype: "bf16",
      outFeatures: 1,
      inFeatures: 1,
      data: Uint16Array.of(toBf16(1)),
    };
    expect(run([1 + 2 ** -9], 1, one)).toEqual([1]);
    expect(run([1 + 3 * 2 ** -9], 1, one)).toEqual([1 + 2 ** -7]);
    expect(run([1 + 2 ** -9], 1, { ...one, dtype: "f32", data: Float32Array.of(1) })).toEqual([1 + 2 ** -9]);
  });

  it("five rows, more than one row block", () => {
    expect(run([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 2], 5, weight)).toEqual([1, -1, 2, 0, 3, 0.5, 3, -1, 6, 1]);
  });

  it("no rows leave the output alone", () => {
    expect(run([], 0, weight, Float32Array.of(7))).toEqual([7]);
  });

  it.each<[string, () => void, RegExp]>([
    ["x too short", () => run([1, 2], 1, weight), /x must be a Float32Array of at least 3/],
    ["out too short", () => run([1, 2, 3], 1, weight, new Float32Array(1)), /out must be a Float32Array of at least 2/],
    ["half a row", () => run([1, 2, 3], 0.5, weight), /rows must be an integer/],
    ["truncated weight", () => run([1, 2, 3], 1, { ...weight, data: new Float32Array(5) }), /weight.data/],
    [
      "bits as f32",
      () => run([1, 2, 3], 1, { ...weight, data: new Uint16Array(6) }),
      /weight.data must be a Float32Array/,
    ],
    ["another format", () => run([1, 2, 3], 1, { ...weight, format: "sparse" } as never), /weight.format/],
  ])("%s is refused", (_, call, message) => {
    expect(call).toThrow(
      expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT", message: expect.stringMatching(message) }),
    );
  });
});

describe("packWeight", () => {
  it("f32 panels hold 16 outputs side by side, zero-padded, in shared memory", () => {
    const packed = reference.packWeight(weight, "f32");
    const expected = new Float32Array(48);
    expected.set([1, -1], 0);
    expected.set([2, 0], 16);
    expected.set([3, 0.5], 32);
    expect(packed.data).toEqual(expected);
    expect(packed.data.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it("bf16 panels hold input pairs side by side; an odd input is padded with zero", () => {
    const packed = reference.packWeight(weight, "bf16");
    const values = Array.from(packed.data, fromBf16);
    expect(values.slice(0, 4)).toEqual([1, 2, -1, 0]);
    expect(values.slice(32, 36)).toEqual([3, 0, 0.5, 0]);
    expect(values.length).toBe(64);
    expect(values.filter((value) => value !== 0).length).toBe(5);
  });

  it("output 17 opens a second panel", () => {
    const data = Float32Array.from({ length: 17 }, (_, o) => o + 1);
    const packed = reference.packWeight({ format: "dense", dtype: "f32", outFeatures: 17, inFeatures: 1, data }, "f32");
    expect([...packed.data]).toEqual([...data, ...new Array(15).fill(0)]);
  });
});
