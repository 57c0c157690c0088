import {
  type DenseWeight,
  type LayerOperations,
  type LinearFormat,
  type LinearWeight,
  toBf16,
  type WeightTarget,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded, toStored } from "../seeded.js";
import { malformedSuite } from "./malformed-weights.js";
import { refuses } from "./refusals.js";
import { denseWeight, fitting, prunedWeight, targets, titleOf, valuesOf } from "./weight-data.js";

const reference = createReference();
const shares = [0, 0.1, 0.5, 0.9, 1];

/** `encodeWeight` and `decodeWeight` of the formats that a kernel package declares. */
export function weightFormatsSuite(operations: LoadedOperations, formats: readonly LinearFormat[]): void {
  const declared = targets.filter(({ format }) => formats.includes(format)).map((t) => [titleOf(t), t] as const);
  if (declared.length === 0) return;

  describe.each(declared)("encodeWeight to %s", (_, target) => {
    it.each(shares)("gives the bits that the format defines, in shared memory, at a share of %d zeros", (zeros) => {
      forTails((outFeatures, inFeatures, seeded) => {
        const weight = fitting(prunedWeight(seeded, outFeatures, inFeatures, zeros), target);
        const encoded = operations().encodeWeight({ ...weight, bias: seeded.normals(outFeatures) }, target);
        expect(encoded).toEqual(reference.encodeWeight({ ...weight, bias: encoded.bias! }, target));
        for (const part of partsOf(encoded)) expect(part.buffer).toBeInstanceOf(SharedArrayBuffer);
      });
    });

    it.each(shares)("decodes to the same matrix at a share of %d zeros, -0 as 0 or -0", (zeros) => {
      forTails((outFeatures, inFeatures, seeded) => {
        const weight = fitting(exactFor(target, prunedWeight(seeded, outFeatures, inFeatures, zeros)), target);
        const bias = seeded.normals(outFeatures);
        const decoded = operations().decodeWeight(operations().encodeWeight({ ...weight, bias }, target));
        expect(decoded).toMatchObject({ format: "dense", outFeatures, inFeatures });
        expect(decoded.bias).toEqual(bias);
        expect(positiveZeros(valuesOf(decoded))).toEqual(positiveZeros(valuesOf(weight)));
      });
    });

    it("takes bf16 weights as well as f32", () => {
      const weight = fitting(prunedWeight(new Seeded(5), 19, 37, 0.5), target);
      const stored = { ...weight, dtype: "bf16" as const, data: toStored(weight.data, "bf16") };
      expect(operations().encodeWeight(stored, target)).toEqual(reference.encodeWeight(weight, target));
    });
  });

  if (formats.includes("bitmap")) bitmapExample(operations);
  if (formats.includes("groups")) groupsExample(operations);
  if (formats.includes("int8-panel16")) int8Example(operations);
  malformedSuite(operations, formats);

  describe("encodeWeight", () => {
    const encode = (weight: DenseWeight, target: WeightTarget) => (o: LayerOperations) =>
      o.encodeWeight(weight, target);
    const small = denseWeight(2, 8, new Float32Array(16).fill(1));
    refuses(operations, [
      ["an unknown format", encode(small, { format: "csr" } as never)],
      ["a truncated weight", encode({ ...small, data: small.data.slice(1) as Float32Array }, declared[0][1])],
      ["a weight that is encoded already", encode({ ...small, format: "channels" } as never, declared[0][1])],
    ]);
  });
}

/** (0, 5, 0, 0, 7, 0, 0, 9) */
const example = denseWeight(1, 8, [0, 5, 0, 0, 7, 0, 0, 9]);

function bitmapExample(operations: LoadedOperations): void {
  describe("bitmap", () => {
    it("bf16: of the row (0, 5, 0, 0, 7, 0, 0, 9), pair by pair, bits 01 00 10 01 are set, lowest first", () => {
      const encoded = operations().encodeWeight(example, { format: "bitmap", dtype: "bf16" });
      expect(encoded).toMatchObject({
        bitmap: Uint32Array.of(0b10, 0, 0b01, 0b10),
        values: Uint16Array.of(...[5, 7, 9].map(toBf16), ...new Array(32).fill(0)),
        offsets: Uint32Array.of(0, 3),
      });
    });

    it("int8: of the same row, quad by quad, the bits are those of 0x92 and 9 becomes 127", () => {
      const encoded = operations().encodeWeight(example, { format: "bitmap", dtype: "int8" });
      expect(encoded).toMatchObject({
        bitmap: Uint32Array.of(0x2, 0, 0x9, 0),
        values: Int8Array.of(71, 99, 127, ...new Array(64).fill(0)),
        offsets: Uint32Array.of(0, 3),
        scales: Float32Array.of(9 / 127),
        sums: Int32Array.of(71 + 99 + 127),
      });
    });

    it("int8: a weight that is rounded to 0 is not stored", () => {
      const encoded = operations().encodeWeight(denseWeight(1, 2, [127, 0.25]), { format: "bitmap", dtype: "int8" });
      expect(encoded).toMatchObject({ offsets: Uint32Array.of(0, 1) });
    });
  });
}

function groupsExample(operations: LoadedOperations): void {
  describe("groups", () => {
    it("2:4 of the row (0, 5, 0, 0, 7, 0, 0, 9): values 5, none, 7, 9 at places 1, 0, 0, 3", () => {
      const encoded = operations().encodeWeight(example, { format: "groups", keep: 2, of: 4 });
      if (encoded.format !== "groups") return expect.fail(`expected groups, got ${encoded.format}`);
      const slots = [0, 1, 2, 3];
      expect(slots.map((slot) => encoded.values[16 * slot])).toEqual([5, 0, 7, 9].map(toBf16));
      expect([...encoded.places]).toEqual([1, 0, 0, 3]);
      expect(encoded.values.filter((value) => value !== 0).length).toBe(3);
    });

    it("1:16: row 9 stands in bits 4 to 7 of the second word", () => {
      const data = new Float32Array(10 * 16);
      data[9 * 16 + 13] = 2;
      const encoded = operations().encodeWeight(denseWeight(10, 16, data), { format: "groups", keep: 1, of: 16 });
      expect(encoded).toMatchObject({ places: Uint32Array.of(0, 13 << 4) });
    });

    it("a third weight in a group of 2:4 is refused; the message names row and group", () => {
      const weight = denseWeight(2, 8, [1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0]);
      expect(() => operations().encodeWeight(weight, { format: "groups", keep: 2, of: 4 })).toThrow(
        expect.objectContaining({ code: "ERR_WEIGHT_FORMAT", message: expect.stringMatching(/row 1\b.*group 1\b/) }),
      );
    });

    const encode = (keep: number, of: number) => (o: LayerOperations) =>
      o.encodeWeight(example, { format: "groups", keep, of });
    refuses(operations, [
      ["a group of 3", encode(1, 3)],
      ["keeping none", encode(0, 4)],
      ["keeping more than there are", encode(5, 4)],
      ["keeping half a weight", encode(0.5, 4)],
    ]);
  });
}

function int8Example(operations: LoadedOperations): void {
  describe("int8-panel16", () => {
    it("quantises by max|w| / 127, ties to even; a row of zeros has scale 0", () => {
      const encoded = operations().encodeWeight(denseWeight(2, 5, [-127, 0.5, 1.5, -2.5, 3, 0, 0, 0, 0, 0]), {
        format: "int8-panel16",
      });
      if (encoded.format !== "int8-panel16") return expect.fail(`expected int8-panel16, got ${encoded.format}`);
      expect([...encoded.data.subarray(0, 4), encoded.data[64]]).toEqual([-127, 0, 2, -2, 3]);
      expect([...encoded.scales]).toEqual([1, 0]);
      expect([...encoded.sums]).toEqual([-124, 0]);
    });

    it.each([Number.NaN, Number.POSITIVE_INFINITY])("%d has no int8 form and is refused", (value) => {
      expect(() => operations().encodeWeight(denseWeight(1, 2, [1, value]), { format: "int8-panel16" })).toThrow(
        expect.objectContaining({ code: "ERR_WEIGHT_FORMAT" }),
      );
    });
  });
}

/** Every in of 1..64 once, out around the panel's 16. */
function forTails(run: (outFeatures: number, inFeatures: number, seeded: Seeded) => void): void {
  const outs = [1, 15, 16, 17, 33];
  for (let inFeatures = 1; inFeatures <= 64; inFeatures++)
    run(outs[inFeatures % 5], inFeatures, new Seeded(inFeatures));
}

/** Where the target is int8: whole numbers, 127 among them in every row that is not all zeros, so that the scale is 1. */
function exactFor(target: WeightTarget, weight: DenseWeight): DenseWeight {
  const isInt8 = target.format === "int8-panel16" || (target.format === "bitmap" && target.dtype === "int8");
  if (!isInt8) return weight;
  const data = Float32Array.from(
    weight.data,
    (value) => Math.sign(value) * Math.ceil(Math.min(126, Math.abs(value) * 40)),
  );
  for (let row = 0; row < data.length; row += weight.inFeatures) {
    const first = data.subarray(row, row + weight.inFeatures).findIndex((value) => value !== 0);
    if (first >= 0) data[row + first] = 127;
  }
  return { ...weight, data };
}

function positiveZeros(values: Float32Array): Float32Array {
  return values.map((value) => value + 0);
}

function partsOf(weight: LinearWeight): ArrayBufferView[] {
  return Object.values(weight).filter((part) => ArrayBuffer.isView(part));
}
