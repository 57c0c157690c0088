import type { DenseWeight } from "@winnow/core";
import { describe, expect, test } from "vitest";
import { chooseFormat, nmPatternOf, zeroPattern } from "./choose-format.js";

/** Rows of 0 and 1, repeated to `inFeatures`. */
function matrix(inFeatures: number, ...rows: string[]): DenseWeight {
  const data = rows.flatMap((row) => Array.from({ length: inFeatures }, (_, i) => Number(row[i % row.length])));
  return { format: "dense", dtype: "f32", outFeatures: rows.length, inFeatures, data: Float32Array.from(data) };
}

const asBf16 = (weight: DenseWeight): DenseWeight => ({
  ...weight,
  dtype: "bf16",
  data: Uint16Array.from(weight.data, (value) => (value === 0 ? 0x8000 : 0x3f80)),
});

describe("zeroPattern", () => {
  test("counts zeros and the fullest group of each size that a row has; groups start anew in each row", () => {
    expect(zeroPattern(matrix(6, "110000", "000011"))).toEqual({
      zeros: 8,
      elements: 12,
      groups: [
        { keep: 2, of: 2 },
        { keep: 2, of: 4 },
      ],
    });
  });

  test("counts -0 of either type as zero", () => {
    const weight = matrix(4, "1100");
    expect(zeroPattern({ ...weight, data: Float32Array.of(1, 1, -0, 0) }).zeros).toBe(2);
    expect(zeroPattern(asBf16(weight)).zeros).toBe(2);
  });
});

describe("nmPatternOf", () => {
  test.each([
    ["1:2", matrix(8, "10", "01"), { keep: 1, of: 2 }],
    ["2:4 that is not 1:2", matrix(8, "1100", "0110"), { keep: 2, of: 4 }],
    ["4:8 that is not 2:4", matrix(16, "11110000"), { keep: 4, of: 8 }],
    ["1:4 rather than 1:2", matrix(8, "1000"), { keep: 1, of: 4 }],
    ["a shorter last group", matrix(6, "110010"), { keep: 2, of: 4 }],
  ])("finds %s", (_, weight, expected) => {
    expect(nmPatternOf(zeroPattern(weight))).toEqual(expected);
  });

  test.each([
    ["more than half is kept", matrix(8, "1110")],
    ["nothing is kept", matrix(8, "0")],
    ["a few groups are full and the rest is nearly empty", matrix(64, "1100000000000000", "0000000000000000")],
  ])("finds none where %s", (_, weight) => {
    expect(nmPatternOf(zeroPattern(weight))).toBeUndefined();
  });
});

describe("chooseFormat", () => {
  const half = matrix(8, "11110000", "11101000");
  const third = matrix(100, `${"0".repeat(35)}${"1".repeat(65)}`);
  const less = matrix(100, `${"0".repeat(34)}${"1".repeat(66)}`);

  test("auto in bf16: groups for N:M, bitmap from 35 % zeros on, dense below", () => {
    expect(chooseFormat(half, "auto", "bf16")).toEqual({ format: "groups", keep: 4, of: 8 });
    expect(chooseFormat(third, "auto", "bf16")).toEqual({ format: "bitmap", dtype: "bf16" });
    expect(chooseFormat(less, "auto", "bf16")).toEqual({ format: "dense-panel16", dtype: "bf16" });
  });

  test("auto in f32: dense, whatever the zeros", () => {
    expect(chooseFormat(half, "auto", "f32")).toEqual({ format: "dense-panel16", dtype: "f32" });
  });

  test("a format that was asked for is taken", () => {
    expect(chooseFormat(less, "bitmap", "bf16")).toEqual({ format: "bitmap", dtype: "bf16" });
    expect(chooseFormat(less, "bitmap-int8", "bf16")).toEqual({ format: "bitmap", dtype: "int8" });
    expect(chooseFormat(less, "int8", "bf16")).toEqual({ format: "int8-panel16" });
    expect(chooseFormat(half, "dense", "bf16")).toEqual({ format: "dense-panel16", dtype: "bf16" });
  });

  test("groups: also patterns above one half and a matrix of zeros; one without any pattern is refused", () => {
    expect(chooseFormat(matrix(8, "1110"), "groups", "bf16")).toEqual({ format: "groups", keep: 3, of: 4 });
    expect(chooseFormat(matrix(8, "0"), "groups", "bf16")).toEqual({ format: "groups", keep: 1, of: 8 });
    expect(() => chooseFormat(matrix(16, "1"), "groups", "bf16")).toThrow(
      expect.objectContaining({ code: "ERR_WEIGHT_FORMAT", message: expect.stringMatching(/0\.0 % zeros/) }),
    );
  });
});
