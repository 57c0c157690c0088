import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded } from "../seeded.js";
import { refuses } from "./refusals.js";

const reference = createReference();
const lengths = [1, 2, 15, 64, 65, 1000, 5000] as const;
const floats = (...values: number[]) => Float32Array.from(values);

/** Indices sorted by falling value, then by rising index: the definition. */
function order(values: Float32Array): number[] {
  return [...values.keys()].sort((a, b) => values[b] - values[a] || a - b);
}

const ascending = (indices: number[]) => Int32Array.from(indices).sort();

export function selectionSuite(operations: LoadedOperations): void {
  describe("topK", () => {
    it.each(lengths)("the k largest of %i values, with and without many ties", (length) => {
      const seeded = new Seeded(length);
      for (const values of [seeded.normals(length), Float32Array.from(seeded.integers(length, -3, 3))]) {
        const best = order(values);
        for (const k of [0, 1, length >> 1, length - 1, length]) {
          expect(operations().topK(values, k)).toEqual(ascending(best.slice(0, k)));
        }
      }
    });

    it("all values equal: the first k", () => {
      expect([...operations().topK(new Float32Array(100).fill(2), 5)]).toEqual([0, 1, 2, 3, 4]);
    });

    it("zeros of either sign tie; infinities are the ends", () => {
      expect([...operations().topK(floats(-0, 0, -0), 2)]).toEqual([0, 1]);
      const infinity = Number.POSITIVE_INFINITY;
      expect([...operations().topK(floats(-infinity, 3, infinity, -infinity), 3)]).toEqual([0, 1, 2]);
    });

    it("start and end cut a part; indices are relative to start", () => {
      expect([...operations().topK(floats(9, 9, 1, 4, 2, 9), 2, 2, 5)]).toEqual([1, 2]);
      expect([...operations().topK(floats(9, 9, 1, 4), 1, 2)]).toEqual([1]);
    });

    refuses(operations, [
      ["NaN", (o) => o.topK(floats(1, Number.NaN), 1)],
      ["k beyond the values", (o) => o.topK(floats(1, 2), 3)],
      ["a negative k", (o) => o.topK(floats(1, 2), -1)],
      ["an end beyond the values", (o) => o.topK(floats(1, 2), 1, 0, 3)],
      ["a start behind the end", (o) => o.topK(floats(1, 2), 0, 2, 1)],
    ]);
  });

  describe("topKRows", () => {
    it.each(lengths)("each of 3 rows of %i values, ties to the lower index", (length) => {
      const values = Float32Array.from(new Seeded(length).integers(3 * length, 0, 9));
      const k = Math.ceil(length / 3);
      const rows = [0, 1, 2].map((r) => order(values.subarray(r * length, (r + 1) * length)).slice(0, k));
      expect(operations().topKRows(values, 3, length, k)).toEqual(
        Int32Array.from(rows.flatMap((row) => [...ascending(row)])),
      );
    });

    refuses(operations, [
      ["k beyond the columns", (o) => o.topKRows(new Float32Array(4), 2, 2, 3)],
      ["values that are too short", (o) => o.topKRows(new Float32Array(3), 2, 2, 1)],
      ["NaN", (o) => o.topKRows(floats(1, 2, Number.NaN, 1), 2, 2, 1)],
    ]);
  });

  describe("prefixMass", () => {
    it.each(lengths)("the fewest of %i whole numbers that reach the mass, and no fewer would", (length) => {
      const values = Float32Array.from(new Seeded(length).integers(length, 0, 50));
      values[0] = 1;
      const best = order(values);
      const total = values.reduce((sum, value) => sum + value, 0);
      for (const mass of [0, 0.25, 0.5, 0.875, 1]) {
        let count = 0;
        for (let sum = 0; sum < mass * total; count++) sum += values[best[count]];
        expect(operations().prefixMass(values, mass)).toEqual(ascending(best.slice(0, count)));
      }
    });

    it("mass 1 of probabilities takes all that are not zero", () => {
      const values = new Seeded(3).uniforms(300, 0.001, 1);
      expect(operations().prefixMass(values, 1)).toEqual(reference.prefixMass(values, 1));
    });

    it("start and end cut a part", () => {
      expect([...operations().prefixMass(floats(100, 1, 3, 100), 0.5, 1, 3)]).toEqual([1]);
    });

    refuses(operations, [
      ["NaN", (o) => o.prefixMass(floats(1, Number.NaN), 0.5)],
      ["a negative value", (o) => o.prefixMass(floats(1, -1), 0.5)],
      ["a mass above 1", (o) => o.prefixMass(floats(1), 1.5)],
      ["a NaN mass", (o) => o.prefixMass(floats(1), Number.NaN)],
    ]);
  });
}
