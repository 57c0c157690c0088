import { type FloatDtype, headsFirst, tokensFirst } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded } from "../seeded.js";
import { headDims } from "../sizes.js";
import { dotTolerance, expectClose, unitRoundoff } from "../tolerance.js";
import { refuses } from "./refusals.js";
import { selectionSuite } from "./selection.js";

const reference = createReference();
const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

/** [rows, columns] */
const matrices = [
  [1, 1],
  [1, 100],
  [2, 6],
  [3, 17],
  [16, 15],
  [64, 64],
  [64, 65],
  [64, 300],
  [7, 1031],
] as const;

export function primitivesSuite(operations: LoadedOperations): void {
  scoresSuite(operations);
  matrixSuite(operations);
  poolingSuite(operations);
  selectionSuite(operations);
}

function scoresSuite(operations: LoadedOperations): void {
  describe("scores", () => {
    const cases = dtypes.flatMap((dtype) => headDims.map((headDim) => [dtype, headDim] as const));

    it.each(cases)("%s keys: scale * q . k, with and without the causal test, d = %i", (dtype, headDim) => {
      for (const [queries, keys] of [
        [1, 1],
        [1, 33],
        [5, 17],
        [64, 130],
      ] as const) {
        const seeded = new Seeded(headDim + keys);
        const q = tokensFirst(seeded.normals(2 * queries * headDim), 2, queries, headDim);
        const k = headsFirst(seeded.stored(2 * keys * headDim, dtype), 2, keys, headDim);
        for (const causalOffset of [undefined, keys - queries, -1]) {
          const task = { q, k, head: 1, kvHead: 1, scale: 0.25, ...(causalOffset !== undefined && { causalOffset }) };
          const out = new Float32Array(queries * keys).fill(Number.NaN);
          const expected = new Float32Array(queries * keys);
          operations().scores(task, out);
          reference.scores(task, expected);
          // |q| |k| of normals stays below 3 d.
          expectClose(out, expected, dotTolerance("f32", headDim, 3 * headDim * 0.25 + 4));
        }
      }
    });

    const one = headsFirst(new Float32Array(2), 1, 1, 2);
    const out = new Float32Array(1);
    refuses(operations, [
      ["a head that is not there", (o) => o.scores({ q: one, k: one, head: 1, kvHead: 0, scale: 1 }, out)],
      ["a KV head that is not there", (o) => o.scores({ q: one, k: one, head: 0, kvHead: -1, scale: 1 }, out)],
      ["out that is too short", (o) => o.scores({ q: one, k: one, head: 0, kvHead: 0, scale: 1 }, new Float32Array(0))],
      ["a NaN scale", (o) => o.scores({ q: one, k: one, head: 0, kvHead: 0, scale: Number.NaN }, out)],
    ]);
  });
}

function matrixSuite(operations: LoadedOperations): void {
  describe("softmaxRows", () => {
    it.each(matrices)(
      "[%i, %i]: rows sum to 1, -Infinity becomes 0, a row of nothing becomes zeros",
      (rows, columns) => {
        const seeded = new Seeded(rows + columns);
        const x = seeded.uniforms(rows * columns, -30, 30);
        for (let e = 0; e < x.length; e++) if (seeded.integer(0, 3) === 0) x[e] = Number.NEGATIVE_INFINITY;
        x.fill(Number.NEGATIVE_INFINITY, (rows - 1) * columns);
        const expected = x.slice();
        operations().softmaxRows(x, rows, columns);
        reference.softmaxRows(expected, rows, columns);
        // Arguments of the exponential reach 60: half a unit in their last place is an error of 60 u.
        expectClose(x, expected, { atol: 2 ** -40, rtol: (200 + 8 * Math.sqrt(columns)) * unitRoundoff.f32 });
        expect(x.every((value, e) => expected[e] !== 0 || value < 1e-20)).toBe(true);
      },
    );

    it.each([Number.NaN, Number.POSITIVE_INFINITY])("a row with %s is refused, never turned into NaN", (value) => {
      expect(() => operations().softmaxRows(Float32Array.of(1, value), 1, 2)).toThrow(
        expect.objectContaining({ name: "WinnowError" }),
      );
    });

    refuses(operations, [["x that is too short", (o) => o.softmaxRows(new Float32Array(3), 2, 2)]]);
  });

  describe.each(["columnSums", "diagonalSums"] as const)("%s", (method) => {
    it.each(matrices)("[%i, %i]", (rows, columns) => {
      const x = new Seeded(rows * columns).normals(rows * columns);
      const out = new Float32Array(columns).fill(Number.NaN);
      const expected = new Float32Array(columns);
      operations()[method](x, rows, columns, out);
      reference[method](x, rows, columns, expected);
      expectClose(out, expected, dotTolerance("f32", rows, 2 * rows));
    });

    refuses(operations, [
      ["out that is too short", (o) => o[method](new Float32Array(4), 2, 2, new Float32Array(1))],
      ["x that is too short", (o) => o[method](new Float32Array(3), 2, 2, new Float32Array(2))],
    ]);
  });

  describe("diagonalSums of two rows", () => {
    it("the worked example: offsets 0..5 of L = 2, n = 6", () => {
      const x = Float32Array.of(0.1, 0.2, 0.1, 0.1, 0.5, 0, 0.1, 0.1, 0.3, 0.1, 0.1, 0.3);
      const out = new Float32Array(6);
      operations().diagonalSums(x, 2, 6, out);
      expectClose(out, [0.8, 0.2, 0.2, 0.5, 0.2, 0.1], { atol: 1e-6, rtol: 0 });
    });
  });
}

function poolingSuite(operations: LoadedOperations): void {
  describe("poolMean", () => {
    it.each(dtypes)("%s: the divisor is the block size; blocks beyond the end are zero", (dtype) => {
      for (const length of [1, 31, 32, 33, 100]) {
        for (const blockSize of [1, 7, 32, 64]) {
          const x = headsFirst(new Seeded(length).stored(2 * length * 20, dtype), 2, length, 20);
          const out = new Float32Array((Math.ceil(length / blockSize) + 1) * 20).fill(Number.NaN);
          const expected = new Float32Array(out.length);
          operations().poolMean(x, 1, blockSize, out);
          reference.poolMean(x, 1, blockSize, expected);
          expectClose(out, expected, dotTolerance("f32", blockSize, 2));
        }
      }
    });

    const x = headsFirst(new Float32Array(6), 1, 3, 2);
    refuses(operations, [
      ["out without room for the last block", (o) => o.poolMean(x, 0, 2, new Float32Array(2))],
      ["a block size of 0", (o) => o.poolMean(x, 0, 0, new Float32Array(6))],
      ["a head that is not there", (o) => o.poolMean(x, 1, 2, new Float32Array(4))],
    ]);
  });

  describe("outerScores", () => {
    it.each(headDims)("scale * x y^T, d = %i", (d) => {
      for (const [rows, columns] of [
        [1, 1],
        [3, 17],
        [33, 5],
        [20, 64],
      ] as const) {
        const seeded = new Seeded(d + rows);
        const [x, y] = [seeded.normals(rows * d), seeded.normals(columns * d)];
        const out = new Float32Array(rows * columns).fill(Number.NaN);
        const expected = new Float32Array(out.length);
        operations().outerScores(x, y, d, 0.5, out);
        reference.outerScores(x, y, d, 0.5, expected);
        expectClose(out, expected, dotTolerance("f32", d, 1.5 * d + 4));
      }
    });

    refuses(operations, [
      ["half a row", (o) => o.outerScores(new Float32Array(3), new Float32Array(2), 2, 1, new Float32Array(2))],
      [
        "out that is too short",
        (o) => o.outerScores(new Float32Array(4), new Float32Array(2), 2, 1, new Float32Array(1)),
      ],
    ]);
  });
}
