import { type DenseWeight, type LinearFormat, type WeightTarget, weightBytes } from "@winnow/core";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded } from "../seeded.js";
import { dotTolerance, expectClose, unitRoundoff } from "../tolerance.js";
import { refuses } from "./refusals.js";
import {
  denseWeight,
  fitting,
  naiveLinear,
  prunedWeight,
  roundToBf16,
  targets,
  titleOf,
  valuesOf,
} from "./weight-data.js";

/** [rows, inFeatures, outFeatures, share of zeros] */
const shapes = [
  [1, 1, 1, 0],
  [1, 8, 16, 0.5],
  [1, 130, 33, 0.9],
  [2, 17, 15, 0.5],
  [3, 63, 48, 0.1],
  [4, 31, 17, 1],
  [5, 64, 64, 0.5],
  [17, 65, 31, 0.5],
  [33, 200, 100, 0.7],
] as const;

/** Products with compressed weights, of the formats that a kernel package declares. */
export function compressedLinearSuite(operations: LoadedOperations, formats: readonly LinearFormat[]): void {
  const compressed = targets.filter(({ format }) => format !== "dense-panel16" && formats.includes(format));
  for (const target of compressed)
    describe(`linear with ${titleOf(target)}`, () => compressedCases(operations, target));

  if (formats.includes("int8-panel16") || formats.includes("bitmap")) int8Arithmetic(operations, formats);
  for (const dtype of ["bf16", "int8"] as const) {
    const dense = denseTarget(dtype);
    if (!formats.includes("bitmap") || !formats.includes(dense.format)) continue;
    it.each(shapes)(
      `linear with bitmap ${dtype} gives the bits of ${titleOf(dense)} for %i rows, in %i, out %i, %d zeros`,
      async (rows, inFeatures, outFeatures, zeros) => {
        const { weight, x, start } = problem(rows, inFeatures, outFeatures, zeros);
        const [actual, expected] = [start.slice(), start.slice()];
        await operations().linear(
          x,
          rows,
          operations().encodeWeight(weight, { format: "bitmap", dtype }),
          actual,
          true,
        );
        await operations().linear(x, rows, operations().encodeWeight(weight, dense), expected, true);
        expect(actual).toEqual(expected);
      },
    );
  }
}

function denseTarget(dtype: "bf16" | "int8"): WeightTarget {
  return dtype === "int8" ? { format: "int8-panel16" } : { format: "dense-panel16", dtype };
}

function compressedCases(operations: LoadedOperations, target: WeightTarget): void {
  describe.each([false, true])("accumulate %s", (accumulate) => {
    it.each(shapes)("x W^T + b for %i rows, in %i, out %i, %d zeros", async (rows, inFeatures, outFeatures, zeros) => {
      const { weight: any, x, start } = problem(rows, inFeatures, outFeatures, zeros);
      const weight = fitting(any, target);
      const out = start.slice();
      await operations().linear(x, rows, operations().encodeWeight(weight, target), out, accumulate);
      const { sums, tolerance } = isInt8(target) ? int8Oracle(x, rows, weight) : bf16Oracle(x, rows, weight);
      const expected = sums.map((sum, place) => sum + (accumulate ? start[place] : 0));
      expectClose(out, expected, { ...tolerance, atol: tolerance.atol + 8 * unitRoundoff.f32 });
    });
  });

  it("reads all bytes of the weight once for any number of rows, none for no rows", async () => {
    const { weight, x } = problem(9, 40, 20, 0.5);
    const encoded = operations().encodeWeight(fitting(weight, target), target);
    for (const rows of [1, 9]) {
      expect(await operations().linear(x, rows, encoded, new Float32Array(rows * 20))).toBe(weightBytes(encoded));
    }
    const untouched = Float32Array.of(7);
    expect(await operations().linear(x, 0, encoded, untouched)).toBe(0);
    expect([...untouched]).toEqual([7]);
  });

  it("has no selection: sparse rows give the same bits as others", async () => {
    const { weight, x } = problem(3, 40, 20, 0.5);
    const encoded = operations().encodeWeight(fitting(weight, target), target);
    const [some, none] = [new Float32Array(60), new Float32Array(60)];
    await operations().linear(x, 3, encoded, some, false, 2);
    await operations().linear(x, 3, encoded, none);
    expect(some).toEqual(none);
  });

  const encoded = (o: ReturnType<LoadedOperations>) => o.encodeWeight(denseWeight(2, 3, [1, 0, 0, 0, 2, 0]), target);
  refuses(operations, [
    ["x that is too short", (o) => o.linear(new Float32Array(2), 1, encoded(o), new Float32Array(2))],
    ["out that is too short", (o) => o.linear(new Float32Array(3), 1, encoded(o), new Float32Array(1))],
    ["half a row", (o) => o.linear(new Float32Array(3), 0.5, encoded(o), new Float32Array(2))],
    ["more sparse rows than rows", (o) => o.linear(new Float32Array(3), 1, encoded(o), new Float32Array(2), false, 2)],
    [
      "a negative number of sparse rows",
      (o) => o.linear(new Float32Array(3), 1, encoded(o), new Float32Array(2), false, -1),
    ],
  ]);
}

function int8Arithmetic(operations: LoadedOperations, formats: readonly LinearFormat[]): void {
  const targetsOfInt8 = targets.filter((target) => isInt8(target) && formats.includes(target.format));
  describe.each(targetsOfInt8.map((target) => [titleOf(target), target] as const))(
    "int8 arithmetic of %s",
    (_, target) => {
      it("x is rounded by max|x| / 127 of its own row, ties to even; whole sums are exact", async () => {
        const weight = denseWeight(2, 4, [127, 1, 1, 1, 0, 1, 10, 127]);
        const x = Float32Array.of(127, 0.5, 1.5, -2.5, 254, 3, 5, -1);
        const out = new Float32Array(4);
        await operations().linear(x, 2, operations().encodeWeight(weight, target), out);
        // Quantised: (127, 0, 2, -2) with scale 1 and (127, 2, 2, 0) with scale 2.
        expect([...out]).toEqual([127 * 127, 2 * 10 - 2 * 127, 2 * (127 * 127 + 4), 2 * (2 + 20)]);
      });

      it("a row of zeros gives the bias", async () => {
        const weight = { ...denseWeight(2, 3, [1, 2, 3, 0, 0, 0]), bias: Float32Array.of(5, -6) };
        const out = new Float32Array(2);
        await operations().linear(new Float32Array(3), 1, operations().encodeWeight(weight, target), out);
        expect([...out]).toEqual([5, -6]);
      });

      it("a sum of 2^17 products of 127 * 127 does not overflow", async () => {
        const inFeatures = 2 ** 17;
        const ones = new Float32Array(inFeatures).fill(127);
        const out = new Float32Array(2);
        const weight = denseWeight(1, inFeatures, ones);
        const both = Float32Array.from({ length: 2 * inFeatures }, (_, e) => (e < inFeatures ? 127 : -127));
        await operations().linear(both, 2, operations().encodeWeight(weight, target), out);
        expect([...out]).toEqual([127 ** 2 * inFeatures, -(127 ** 2) * inFeatures]);
      });
    },
  );
}

function problem(rows: number, inFeatures: number, outFeatures: number, zeros: number) {
  const seeded = new Seeded(rows * 1000 + inFeatures);
  const weight = { ...prunedWeight(seeded, outFeatures, inFeatures, zeros), bias: seeded.normals(outFeatures) };
  return { weight, x: seeded.normals(rows * inFeatures), start: seeded.normals(rows * outFeatures) };
}

function isInt8(target: WeightTarget): boolean {
  return target.format === "int8-panel16" || (target.format === "bitmap" && target.dtype === "int8");
}

function bf16Oracle(x: Float32Array, rows: number, weight: DenseWeight) {
  const { out, magnitude } = naiveLinear(roundToBf16(x), rows, weight);
  return { sums: out, tolerance: dotTolerance("f32", weight.inFeatures + 1, magnitude) };
}

/** Whole sums are exact; what follows is two float32 products, a conversion and the bias. */
function int8Oracle(x: Float32Array, rows: number, weight: DenseWeight) {
  const { inFeatures, outFeatures, bias } = weight;
  const inputs = quantizeRows(x.subarray(0, rows * inFeatures), inFeatures);
  const outputs = quantizeRows(valuesOf(weight), inFeatures);
  const { out } = naiveLinear(inputs.whole, rows, denseWeight(outFeatures, inFeatures, outputs.whole));
  let magnitude = 0;
  const sums = out.map((sum, place) => {
    const [r, o] = [Math.floor(place / outFeatures), place % outFeatures];
    const scaled = inputs.scales[r] * outputs.scales[o] * sum;
    magnitude = Math.max(magnitude, Math.abs(scaled) + Math.abs(bias?.[o] ?? 0));
    return scaled + (bias?.[o] ?? 0);
  });
  return { sums, tolerance: { atol: 5 * unitRoundoff.f32 * magnitude, rtol: 0 } };
}

function quantizeRows(values: Float32Array, width: number) {
  const scales = new Float32Array(values.length / width);
  const whole = values.map((value, place) => {
    const row = Math.floor(place / width);
    if (place % width === 0) scales[row] = Math.max(...values.subarray(place, place + width).map(Math.abs)) / 127;
    return scales[row] === 0 ? 0 : nearestEven(Math.fround(value / scales[row]));
  });
  return { scales, whole };
}

/** Adding 1.5 * 2^52 leaves no bits for a fraction, so the sum itself is rounded to even. */
function nearestEven(value: number): number {
  return value + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
}
