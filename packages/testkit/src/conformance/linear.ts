import {
  type DenseWeight,
  type FloatDtype,
  fromBf16,
  type LinearFormat,
  type LinearWeight,
  toBf16,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded, toStored } from "../seeded.js";
import { dotTolerance, expectClose } from "../tolerance.js";
import { channelsSuite } from "./channels-linear.js";
import { gatedRowsSuite } from "./gated-rows-linear.js";
import { unsupportedSuite } from "./malformed-weights.js";
import { refuses } from "./refusals.js";
import { compressedLinearSuite } from "./sparse-linear.js";
import { weightFormatsSuite } from "./weight-formats.js";

const reference = createReference();

/** [rows, inFeatures, outFeatures] */
const shapes = [
  [1, 1, 1],
  [1, 2, 15],
  [1, 17, 16],
  [1, 300, 33],
  [2, 3, 17],
  [3, 16, 1],
  [5, 64, 48],
  [8, 65, 100],
  [17, 130, 31],
  [33, 31, 64],
  [64, 129, 80],
] as const;

const dtypes: readonly FloatDtype[] = ["f32", "bf16"];
const cases = dtypes.flatMap((dtype) => shapes.map((shape) => [dtype, ...shape] as const));

/** @param formats The weight formats to test; others must be refused. */
export function linearSuite(operations: LoadedOperations, formats: readonly LinearFormat[]): void {
  weightFormatsSuite(operations, formats);
  compressedLinearSuite(operations, formats);
  if (formats.includes("channels")) channelsSuite(operations);
  if (formats.includes("gated-rows")) gatedRowsSuite(operations);
  unsupportedSuite(operations, formats);

  describe("packWeight", () => {
    it.each(cases)(
      "%s: panels for %i rows, in %i, out %i, have the declared layout",
      (dtype, _, inFeatures, outFeatures) => {
        const weight = randomWeight(new Seeded(3), inFeatures, outFeatures, "f32", true);
        const packed = operations().packWeight(weight, dtype);
        expect(packed).toMatchObject({ dtype, inFeatures, outFeatures });
        expectPacked(packed, weight, dtype);
      },
    );

    it("bf16 data may be packed as either type", () => {
      const weight = randomWeight(new Seeded(4), 5, 19, "bf16", false);
      for (const dtype of dtypes) {
        const packed = operations().packWeight(weight, dtype);
        expect(packed.dtype).toBe(dtype);
        expectPacked(packed, weight, dtype);
      }
    });

    refuses(operations, [
      ["a truncated weight", (o) => o.packWeight({ ...small(), data: new Float32Array(5) }, "f32")],
      ["a short bias", (o) => o.packWeight({ ...small(), bias: new Float32Array(1) }, "f32")],
      ["an unknown type", (o) => o.packWeight(small(), "f16" as FloatDtype)],
    ]);
  });

  describe("linear", () => {
    it.each(cases)("%s: x W^T + b for %i rows, in %i, out %i", async (dtype, rows, inFeatures, outFeatures) => {
      const seeded = new Seeded(rows * 1000 + inFeatures);
      const weight = randomWeight(seeded, inFeatures, outFeatures, dtype, true);
      const x = seeded.normals(rows * inFeatures);
      const out = new Float32Array(rows * outFeatures).fill(Number.NaN);
      const expected = new Float32Array(rows * outFeatures);
      await operations().linear(x, rows, operations().packWeight(weight, dtype), out);
      reference.linear(x, rows, weight, expected);
      expectClose(out, expected, dotTolerance("f32", inFeatures + 1, largestMagnitude(x, rows, weight)));
    });

    it.each(cases)(
      "%s: whole numbers come out exactly, added to out, for %i rows, in %i, out %i",
      async (dtype, rows, inFeatures, outFeatures) => {
        const seeded = new Seeded(rows + outFeatures);
        const wholes = (count: number) => Float32Array.from(seeded.integers(count, -8, 8));
        const x = wholes(rows * inFeatures);
        const weight: DenseWeight = {
          format: "dense",
          dtype: "f32",
          inFeatures,
          outFeatures,
          data: wholes(inFeatures * outFeatures),
        };
        const out = wholes(rows * outFeatures);
        const expected = out.map((start, place) => {
          const [r, o] = [Math.floor(place / outFeatures), place % outFeatures];
          let sum = start;
          for (let i = 0; i < inFeatures; i++) sum += x[r * inFeatures + i] * weight.data[o * inFeatures + i];
          return sum;
        });
        await operations().linear(x, rows, operations().packWeight(weight, dtype), out, true);
        expect(out).toEqual(expected);
      },
    );

    it("bf16 weights see activations rounded to bf16, f32 weights do not", async () => {
      const x = Float32Array.of(1 + 2 ** -9, 1 + 3 * 2 ** -9);
      const weight: DenseWeight = {
        format: "dense",
        dtype: "f32",
        outFeatures: 1,
        inFeatures: 1,
        data: Float32Array.of(1),
      };
      const out = new Float32Array(2);
      await operations().linear(x, 2, operations().packWeight(weight, "bf16"), out);
      expect([...out]).toEqual([1, 1 + 2 ** -7]);
      await operations().linear(x, 2, operations().packWeight(weight, "f32"), out);
      expect(out).toEqual(x);
    });

    it("no rows leave the output alone", async () => {
      const out = Float32Array.of(7, 7);
      await operations().linear(new Float32Array(0), 0, operations().packWeight(small(), "f32"), out);
      expect([...out]).toEqual([7, 7]);
    });

    refuses(operations, [
      [
        "x that is too short",
        (o) => o.linear(new Float32Array(2), 1, o.packWeight(small(), "f32"), new Float32Array(2)),
      ],
      [
        "out that is too short",
        (o) => o.linear(new Float32Array(3), 1, o.packWeight(small(), "f32"), new Float32Array(1)),
      ],
      ["half a row", (o) => o.linear(new Float32Array(3), 0.5, o.packWeight(small(), "f32"), new Float32Array(2))],
      [
        "a negative number of rows",
        (o) => o.linear(new Float32Array(3), -1, o.packWeight(small(), "f32"), new Float32Array(2)),
      ],
      [
        "a packed weight that lost an element",
        (o) => {
          const packed = o.packWeight(small(), "f32");
          const data = (packed as DenseWeight).data.slice(1);
          return o.linear(new Float32Array(3), 1, { ...packed, data } as LinearWeight, new Float32Array(2));
        },
      ],
    ]);
  });
}

/** Shared memory, and where it is panels, those of the reference. */
function expectPacked(packed: LinearWeight, weight: DenseWeight, dtype: FloatDtype): void {
  expect((packed as DenseWeight).data.buffer).toBeInstanceOf(SharedArrayBuffer);
  if (packed.format === "dense-panel16") expect(packed).toMatchObject(reference.packWeight(weight, dtype));
}

function small(): DenseWeight {
  return { format: "dense", dtype: "f32", outFeatures: 2, inFeatures: 3, data: new Float32Array(6) };
}

function randomWeight(
  seeded: Seeded,
  inFeatures: number,
  outFeatures: number,
  dtype: FloatDtype,
  hasBias: boolean,
): DenseWeight {
  const data = toStored(seeded.normals(inFeatures * outFeatures), dtype);
  const bias = hasBias ? seeded.normals(outFeatures) : undefined;
  return { format: "dense", dtype, outFeatures, inFeatures, data, ...(bias && { bias }) };
}

/** Largest sum over i of |x_i w_i|, bounded by the norms of the rows, plus room for the bias. */
function largestMagnitude(x: Float32Array, rows: number, weight: DenseWeight): number {
  const value = (stored: number) => (weight.dtype === "bf16" ? fromBf16(stored) : stored);
  const width = weight.inFeatures;
  const activations = weight.dtype === "bf16" ? x.map((v) => fromBf16(toBf16(v))) : x;
  return (
    largestNorm(activations, rows, width) *
      largestNorm(Float32Array.from(weight.data, value), weight.outFeatures, width) +
    5
  );
}

function largestNorm(values: Float32Array, rows: number, width: number): number {
  const norms = Array.from({ length: rows }, (_, r) => Math.hypot(...values.subarray(r * width, (r + 1) * width)));
  return Math.max(...norms);
}
