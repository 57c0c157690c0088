import {
  type DenseWeight,
  fromBf16,
  type LinearWeight,
  type WeightTarget,
  type WinnowError,
  weightBytes,
} from "@winnow/core";
import { afterAll, describe, expect, test } from "vitest";
import { loadNative, type NativeOperations, nativeStatus } from "./index.js";
import { randomFloats } from "./testing/data.js";

const status = nativeStatus();
const sets = status.available ? status.instructionSets : [];
const instances: NativeOperations[] = sets.flatMap((isa) => [1, 2].map((threads) => loadNative({ isa, threads })));
const [native] = instances;
afterAll(() => {
  for (const instance of instances) instance.close();
});

const targets: WeightTarget[] = [
  { format: "dense-panel16", dtype: "f32" },
  { format: "dense-panel16", dtype: "bf16" },
  { format: "int8-panel16" },
  { format: "bitmap", dtype: "bf16" },
  { format: "bitmap", dtype: "int8" },
  { format: "groups", keep: 2, of: 4 },
  { format: "groups", keep: 3, of: 16 },
];
const nameOf = (target: WeightTarget) => Object.values(target).join(" ");

/** In each 16 inputs, the places 1, 6 and 11 stay, so that every target takes it; some zeros are negative. */
function dense(outFeatures: number, inFeatures: number): DenseWeight & { data: Float32Array } {
  const data = randomFloats(outFeatures * inFeatures, 2).map((value, e) =>
    [1, 6, 11].includes((e % inFeatures) % 16) ? value : e % 2 ? 0 : -0,
  );
  return { format: "dense", dtype: "f32", outFeatures, inFeatures, data, bias: randomFloats(outFeatures, 3) };
}

/** The matrix that `weight` stands for, in float64. */
const matrixOf = (weight: LinearWeight) => {
  const { dtype, data } = native.decodeWeight(weight);
  return Float64Array.from(data, (value) => (dtype === "bf16" ? fromBf16(value) : value));
};

/** Plain loops in float64. */
function product(x: Float32Array, rows: number, weight: DenseWeight, matrix: Float64Array, old: Float32Array) {
  const { outFeatures, inFeatures, bias } = weight;
  return Float64Array.from({ length: rows * outFeatures }, (_, e) => {
    const [r, o] = [Math.floor(e / outFeatures), e % outFeatures];
    let sum = old[e] + (bias?.[o] ?? 0);
    for (let i = 0; i < inFeatures; i++) sum += x[r * inFeatures + i] * matrix[o * inFeatures + i];
    return sum;
  });
}

const sizes = [
  [1, 1, 1],
  [1, 16, 16],
  [2, 67, 33],
  [3, 130, 21],
  [7, 35, 50],
] as const;

describe.each(targets.map((target) => [nameOf(target), target] as const))("%s", (_, target) => {
  const error = "dtype" in target && target.dtype === "f32" ? 2 ** -22 : 2 ** -8;

  test.each(sizes)(
    "of %i rows, %i inputs, %i outputs multiplies the matrix that it decodes to",
    (rows, inFeatures, outFeatures) => {
      const matrix = dense(outFeatures, inFeatures);
      const weight = native.encodeWeight(matrix, target);
      const x = randomFloats(rows * inFeatures, 1);
      const old = randomFloats(rows * outFeatures, 4);
      const out = old.slice();
      expect(native.linear(x, rows, weight, out, true)).toBe(weightBytes(weight));
      const expected = product(x, rows, matrix, matrixOf(weight), old);
      // x below 1 is rounded by at most half of `error` (bf16: 2^-9 of it, int8: 1/254), weights are below 1.
      for (let e = 0; e < out.length; e++)
        expect(Math.abs(out[e] - expected[e])).toBeLessThan(error * inFeatures + 2 ** -20);
    },
  );

  test("gives the same bits on every instruction set, with 1 and 2 threads, for a row alone and among others", () => {
    const weight = native.encodeWeight(dense(90, 131), target);
    const x = randomFloats(6 * 131, 1);
    const all = new Float32Array(6 * 90);
    native.linear(x, 6, weight, all);
    for (const instance of instances) {
      const [again, alone] = [new Float32Array(6 * 90), new Float32Array(90)];
      instance.linear(x, 6, weight, again);
      instance.linear(x.subarray(5 * 131), 1, weight, alone);
      expect(again).toEqual(all);
      expect(alone).toEqual(all.subarray(5 * 90));
    }
  });

  test("decodes to the weights that it encodes, up to the rounding of its type", () => {
    const matrix = dense(37, 45);
    const decoded = matrixOf(native.encodeWeight(matrix, target));
    for (let e = 0; e < decoded.length; e++) expect(Math.abs(decoded[e] - matrix.data[e])).toBeLessThan(error);
    if (target.format !== "dense-panel16") expect(decoded.some((value) => Object.is(value, -0))).toBe(false);
  });

  test("lies in shared memory", () => {
    const weight = native.encodeWeight(dense(3, 5), target);
    const arrays = Object.values(weight).filter((part) => ArrayBuffer.isView(part));
    expect(arrays.length).toBeGreaterThan(1);
    for (const array of arrays) expect(array.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  test.each([Number.NaN, Infinity, -Infinity])("refuses %f with ERR_WEIGHT_FORMAT", (value) => {
    const matrix = dense(18, 20);
    matrix.data[17 * 20 + 3] = value;
    expectRefusal(() => native.encodeWeight(matrix, target), /encodeWeight.*row 17 and input 3/);
  });
});

test.each(["bf16", "int8"] as const)("a %s bitmap gives the bits of the dense panels of the same matrix", (dtype) => {
  const matrix = dense(50, 77);
  const panels = native.encodeWeight(
    matrix,
    dtype === "bf16" ? { format: "dense-panel16", dtype } : { format: "int8-panel16" },
  );
  for (const rows of [1, 2, 3, 4, 9]) {
    const x = randomFloats(rows * 77, 1);
    const [a, b] = [new Float32Array(rows * 50), new Float32Array(rows * 50)];
    native.linear(x, rows, panels, a);
    native.linear(x, rows, native.encodeWeight(matrix, { format: "bitmap", dtype }), b);
    expect(b).toEqual(a);
  }
});

test("the bits of a bitmap stand for the elements of the panels, lowest first", () => {
  const data = Float32Array.of(0, 5, 0, 0, 7, 0, 0, 9);
  const matrix = { format: "dense", dtype: "f32", outFeatures: 1, inFeatures: 8, data } as const;
  const weight = native.encodeWeight(matrix, { format: "bitmap", dtype: "bf16" });
  if (weight.format !== "bitmap") expect.fail(weight.format);
  expect([...weight.bitmap]).toEqual([0b10, 0b00, 0b01, 0b10]);
  expect([...weight.values.subarray(0, 4)].map(fromBf16)).toEqual([5, 7, 9, 0]);
  expect(weight.values.length).toBe(3 + 32);
  expect([...weight.offsets]).toEqual([0, 3]);
});

test("groups name the row and the group that hold too many weights", () => {
  const matrix = { ...dense(20, 12), data: new Float32Array(240) };
  matrix.data.fill(1, 18 * 12 + 4, 18 * 12 + 7);
  const action = () => native.encodeWeight(matrix, { format: "groups", keep: 2, of: 4 });
  expectRefusal(action, /row 18 has more than 2 of 4.*group 1/);
});

const encoded = <F extends LinearWeight["format"]>(target: WeightTarget & { format: F }) =>
  native.encodeWeight(dense(20, 12), target) as Extract<LinearWeight, { format: F }>;
const bitmap = () => encoded({ format: "bitmap", dtype: "bf16" });
const int8 = () => encoded({ format: "bitmap", dtype: "int8" });
const groups = () => encoded({ format: "groups", keep: 2, of: 4 });

const malformed: [title: string, weight: () => LinearWeight, message: RegExp][] = [
  ["a bitmap with a word too few", () => ({ ...bitmap(), bitmap: bitmap().bitmap.subarray(1) }), /bitmap must be a/],
  ["offsets that descend", () => ({ ...bitmap(), offsets: Uint32Array.of(0, 9, 8) }), /offsets must ascend/],
  ["offsets that do not start at 0", () => ({ ...bitmap(), offsets: Uint32Array.of(1, 9, 9) }), /offsets\[0\]/],
  ["values without padding", () => ({ ...bitmap(), values: bitmap().values.slice(0, -1) }), /values must be a/],
  ["a bit too many", () => ({ ...bitmap(), bitmap: bitmap().bitmap.map((word, i) => (i ? word : ~0)) }), /panel 0/],
  ["a sum that is not that of its row", () => ({ ...int8(), sums: int8().sums?.map((sum) => sum + 1) }), /sums\[0\]/],
  ["int8 without scales", () => ({ ...int8(), scales: undefined }), /scales must be a/],
  ["a type without kernel", () => ({ ...bitmap(), dtype: "f32" as "bf16" }), /dtype must be/],
  ["groups of 3", () => ({ ...groups(), of: 3 }), /of must be 2, 4, 8 or 16/],
  ["more kept than there are", () => ({ ...groups(), keep: 5 }), /keep must be in 1..4/],
  ["too few places", () => ({ ...groups(), places: groups().places.slice(1) }), /places must be a/],
  ["places beyond the row", () => beyond(), /places of panel 0/],
];

/** 10 inputs: the last group of 4 has only two. */
function beyond(): LinearWeight {
  const weight = native.encodeWeight(dense(20, 10), { format: "groups", keep: 2, of: 4 });
  return { ...weight, places: (weight as { places: Uint32Array }).places.map(() => 0xffffffff) } as LinearWeight;
}

describe("ERR_WEIGHT_FORMAT refuses", () => {
  test.each(malformed)("%s", (_, weight, message) => {
    const bad = weight();
    expectRefusal(() => native.linear(new Float32Array(12), 1, bad, new Float32Array(20)), message);
    expectRefusal(() => native.decodeWeight(bad), message);
  });
});

function expectRefusal(action: () => unknown, message: RegExp) {
  try {
    action();
  } catch (error) {
    expect((error as WinnowError).message).toMatch(message);
    return expect((error as WinnowError).code).toBe("ERR_WEIGHT_FORMAT");
  }
  expect.fail("nothing was thrown");
}
