import type { TruncatedSvd } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded } from "../seeded.js";
import { dotTolerance, expectClose, unitRoundoff } from "../tolerance.js";
import { refuses } from "./refusals.js";

const reference = createReference();
const NaNs = (count: number) => new Float32Array(count).fill(Number.NaN);
const zeros = (count: number) => new Float32Array(count);

/** Every tail of a vector, and more than one block. */
const tails = Array.from({ length: 40 }, (_, i) => i + 1);

export function linearAlgebraSuite(operations: LoadedOperations): void {
  gramSuite(operations);
  choleskySuite(operations);
  svdSuite(operations);
  multiplySuite(operations);
  normsSuite(operations);
}

function gramSuite(operations: LoadedOperations): void {
  describe("accumulateGram", () => {
    const shapes = [...tails.map((width) => [(width % 4) + 1, width] as const), [700, 33], [513, 130]] as const;

    it.each(shapes)("gram += x^T x of %i rows of %i, exactly symmetric", (rows, width) => {
      const seeded = new Seeded(width);
      const x = seeded.normals(rows * width);
      const gram = zeros(width * width).fill(3);
      const expected = gram.slice();
      operations().accumulateGram(x, rows, width, gram);
      reference.accumulateGram(x, rows, width, expected);
      // |x_i| |x_j| of normals stays below 4 rows + 16.
      expectClose(gram, expected, dotTolerance("f32", rows + 1, 4 * rows + 19));
      expect(transposed(gram, width, width)).toEqual(gram);
    });

    it("no rows leave gram alone", () => {
      const gram = Float32Array.of(7);
      operations().accumulateGram(zeros(0), 0, 1, gram);
      expect([...gram]).toEqual([7]);
    });

    refuses(operations, [
      ["x that is too short", (o) => o.accumulateGram(zeros(5), 2, 3, zeros(9))],
      ["gram that is too short", (o) => o.accumulateGram(zeros(6), 2, 3, zeros(8))],
      ["half a row", (o) => o.accumulateGram(zeros(6), 1.5, 3, zeros(9))],
      ["gram over x", (o) => overlapping((x, y) => o.accumulateGram(x, 2, 3, y), 6, 9)],
    ]);
    refuses(operations, [["NaN", (o) => o.accumulateGram(NaNs(6), 2, 3, zeros(9))]], "ERR_NON_FINITE");
  });
}

function choleskySuite(operations: LoadedOperations): void {
  describe("inverseCholesky", () => {
    it.each([...tails, 127, 128, 129, 200])("U is upper triangular and U^T U (H + damping I) = I, n = %i", (n) => {
      const h = gramOf(n, 2 * n);
      const u = NaNs(n * n);
      expect(operations().inverseCholesky(h, n, 0.1 * h[0], u)).toBe(-1);
      const inverse = productOf(transposed(u, n, n), u, n, n, n);
      const damped = h.map((value, place) => value + (place % (n + 1) === 0 ? 0.1 * h[0] : 0));
      const identity = productOf(inverse, damped, n, n, n);
      // U is rounded to float32; the condition number of H stays below 100.
      const bound = 100 * Math.sqrt(n) * unitRoundoff.f32;
      expectClose(
        identity,
        diagonal(n, () => 1),
        { atol: bound, rtol: 0 },
      );
      expect(u.filter((value, place) => place % n < Math.floor(place / n) && value !== 0)).toEqual(zeros(0));
    });

    it.each([1, 6, 130])("names the column whose pivot is not positive, n = %i", (n) => {
      for (const column of new Set([0, n >> 1, n - 1])) {
        const h = diagonal(n, (i) => (i === column ? -1 : 2));
        expect(operations().inverseCholesky(h, n, 0, zeros(n * n))).toBe(column);
        expect(operations().inverseCholesky(h, n, 3, zeros(n * n))).toBe(-1);
      }
    });

    it("zeros need damping, and a matrix of rank 1 does", () => {
      expect(operations().inverseCholesky(zeros(9), 3, 0, zeros(9))).toBe(2);
      expect(operations().inverseCholesky(zeros(9).fill(1), 3, 0, zeros(9))).toBe(1);
      const u = zeros(9);
      expect(operations().inverseCholesky(zeros(9), 3, 4, u)).toBe(-1);
      expect(u).toEqual(diagonal(3, () => 0.5));
    });

    it("out may be h", () => {
      const h = gramOf(20, 40);
      const expected = zeros(400);
      operations().inverseCholesky(h, 20, 1, expected);
      operations().inverseCholesky(h, 20, 1, h);
      expect(h).toEqual(expected);
    });

    refuses(operations, [
      ["h that is too short", (o) => o.inverseCholesky(zeros(3), 2, 1, zeros(4))],
      ["out that is too short", (o) => o.inverseCholesky(zeros(4), 2, 1, zeros(3))],
      ["negative damping", (o) => o.inverseCholesky(zeros(4), 2, -1, zeros(4))],
      ["damping that is no number", (o) => o.inverseCholesky(zeros(4), 2, Number.NaN, zeros(4))],
    ]);
    refuses(
      operations,
      [["infinity", (o) => o.inverseCholesky(Float32Array.of(1, 0, 0, Number.POSITIVE_INFINITY), 2, 1, zeros(4))]],
      "ERR_NON_FINITE",
    );
  });
}

function svdSuite(operations: LoadedOperations): void {
  describe("truncatedSvd", () => {
    const shapes = tails.flatMap((n) => [
      [n, n],
      [n, 41 - n],
    ]);

    it.each(shapes)(
      "values of the reference, orthonormal factors and the error of the tail, %i x %i",
      (rows, columns) => {
        const a = new Seeded(rows * 50 + columns).normals(rows * columns);
        const most = Math.min(rows, columns);
        const all = reference.truncatedSvd(a, rows, columns, most).s;
        for (const rank of new Set([0, 1, most >> 1, most])) {
          const svd = operations().truncatedSvd(a, rows, columns, rank);
          expectSvd(svd, rows, columns, rank);
          expectClose(svd.s, all.subarray(0, rank), { rtol: 1e-6, atol: 4e-7 * all[0] });
          expect(errorOf(a, svd, rows, columns)).toBeCloseTo(Math.hypot(...all.subarray(rank)), 4);
        }
      },
    );

    it("few values of a larger matrix whose spectrum hardly decays", () => {
      const [rows, columns, rank] = [130, 140, 4];
      const a = new Seeded(5).normals(rows * columns);
      const svd = operations().truncatedSvd(a, rows, columns, rank);
      expectSvd(svd, rows, columns, rank);
      expectClose(svd.s, reference.truncatedSvd(a, rows, columns, rank).s, { rtol: 1e-6, atol: 0 });
    });

    it.each([
      ["zeros", zeros(140 * 130), 0],
      ["ones", zeros(140 * 130).fill(1), Math.sqrt(140 * 130)],
    ])("a matrix of %s has finite factors", (_, a, largest) => {
      for (const rank of [1, 3, 130]) {
        const svd = operations().truncatedSvd(a, 140, 130, rank);
        expectSvd(svd, 140, 130, rank);
        expectClose(svd.s, zeros(rank).fill(largest, 0, 1), { rtol: 1e-6, atol: 4e-7 * largest });
      }
    });

    it("values that are all equal, and values below 2^-23 of the first", () => {
      expect([
        ...operations().truncatedSvd(
          diagonal(5, () => -2),
          5,
          5,
          3,
        ).s,
      ]).toEqual([2, 2, 2]);
      const { u, s, v } = operations().truncatedSvd(
        diagonal(3, (i) => 2 ** (-24 * i)),
        3,
        3,
        3,
      );
      expect([...s]).toEqual([1, 0, 0]);
      expect([...u]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0]);
      expect(v).toEqual(u);
    });

    it("gives the same bits every time", () => {
      const a = new Seeded(1).normals(130 * 140);
      expect(operations().truncatedSvd(a, 130, 140, 3)).toEqual(operations().truncatedSvd(a, 130, 140, 3));
    });

    refuses(operations, [
      ["a that is too short", (o) => o.truncatedSvd(zeros(5), 2, 3, 1)],
      ["a rank above the rows", (o) => o.truncatedSvd(zeros(6), 2, 3, 3)],
      ["half a rank", (o) => o.truncatedSvd(zeros(6), 2, 3, 0.5)],
    ]);
    refuses(operations, [["NaN", (o) => o.truncatedSvd(NaNs(6), 2, 3, 1)]], "ERR_NON_FINITE");
  });
}

function multiplySuite(operations: LoadedOperations): void {
  describe("multiplyAdd", () => {
    const shapes = [...tails.map((m) => [m, 41 - m, (m % 9) + 1] as const), [97, 260, 515], [3, 40, 1]] as const;

    it.each(shapes)("c += alpha * a b with gaps between rows, m = %i, n = %i, k = %i", (m, n, k) => {
      const seeded = new Seeded(m + k);
      const [strideA, strideB, strideC] = [k + 2, n + 3, n + 1];
      const [a, b] = [seeded.normals(m * strideA), seeded.normals(k * strideB)];
      const c = seeded.normals(m * strideC);
      const expected = c.slice();
      const task = { m, n, k, alpha: -1.5, a, strideA, b, strideB, strideC };
      operations().multiplyAdd({ ...task, c });
      reference.multiplyAdd({ ...task, c: expected });
      expectClose(c, expected, dotTolerance("f32", k + 2, 1.5 * (4 * k + 16) + 5));
    });

    it("gaps may hold anything, and nothing to sum leaves c alone", () => {
      const c = Float32Array.of(1, 7);
      const gap = Float32Array.of(2, Number.NaN, 3);
      const task = { m: 2, n: 1, k: 1, alpha: 1, a: gap, strideA: 2, b: Float32Array.of(1), strideB: 1, c, strideC: 1 };
      operations().multiplyAdd(task);
      expect([...c]).toEqual([3, 10]);
      operations().multiplyAdd({ ...task, k: 0 });
      operations().multiplyAdd({ ...task, alpha: 0 });
      expect([...c]).toEqual([3, 10]);
    });

    const small = () => ({
      ...{ m: 2, n: 3, k: 4, alpha: 1, strideA: 4, strideB: 3, strideC: 3 },
      ...{ a: zeros(8), b: zeros(12), c: zeros(6) },
    });
    refuses(operations, [
      ["a that is too short", (o) => o.multiplyAdd({ ...small(), a: zeros(7) })],
      ["b that is too short", (o) => o.multiplyAdd({ ...small(), b: zeros(11) })],
      ["c that is too short", (o) => o.multiplyAdd({ ...small(), c: zeros(5) })],
      ["rows that overlap", (o) => o.multiplyAdd({ ...small(), strideC: 2 })],
      ["alpha that is no number", (o) => o.multiplyAdd({ ...small(), alpha: Number.NaN })],
      ["c over a", (o) => overlapping((a, c) => o.multiplyAdd({ ...small(), a, c }), 8, 6)],
      ["c over b", (o) => overlapping((b, c) => o.multiplyAdd({ ...small(), b, c }), 12, 6)],
    ]);
    refuses(operations, [["NaN in b", (o) => o.multiplyAdd({ ...small(), b: NaNs(12) })]], "ERR_NON_FINITE");

    it("an infinity is named by row and column", () => {
      const a = zeros(8);
      a[6] = Number.NEGATIVE_INFINITY;
      expect(() => operations().multiplyAdd({ ...small(), a })).toThrow(/a must hold .* -Infinity in row 1, column 2/);
    });
  });
}

function normsSuite(operations: LoadedOperations): void {
  describe("columnNorms", () => {
    it.each([...tails, 300])("sqrt of the sum of squares of each of %i columns", (columns) => {
      const rows = (columns % 5) + 1;
      const x = new Seeded(columns).normals(rows * columns);
      expectClose(operations().columnNorms(x, rows, columns), reference.columnNorms(x, rows, columns), {
        atol: 0,
        rtol: unitRoundoff.f32,
      });
    });

    it("no rows have norm 0", () => {
      expect([...operations().columnNorms(zeros(0), 0, 2)]).toEqual([0, 0]);
    });

    refuses(operations, [["x that is too short", (o) => o.columnNorms(zeros(5), 2, 3)]]);
    refuses(operations, [["NaN", (o) => o.columnNorms(NaNs(6), 2, 3)]], "ERR_NON_FINITE");
  });
}

/** Calls with two arrays that share their last and first element. */
function overlapping(call: (x: Float32Array, y: Float32Array) => unknown, length: number, other: number): unknown {
  const memory = zeros(length + other - 1);
  return call(memory.subarray(0, length), memory.subarray(length - 1));
}

function diagonal(n: number, value: (i: number) => number): Float32Array {
  return Float32Array.from({ length: n * n }, (_, place) => (place % (n + 1) === 0 ? value(place / (n + 1)) : 0));
}

/** X^T X of random rows. */
function gramOf(n: number, rows: number): Float32Array {
  const x = new Seeded(n).normals(rows * n);
  return Float32Array.from(productOf(transposed(x, rows, n), x, n, rows, n));
}

function transposed<T extends Float32Array | Float64Array>(x: T, rows: number, columns: number): T {
  return x.slice().map((_, place) => x[(place % rows) * columns + Math.floor(place / rows)]) as T;
}

/** a b of `[m, k]` and `[k, n]` in float64. */
function productOf(a: ArrayLike<number>, b: ArrayLike<number>, m: number, k: number, n: number): Float64Array {
  const product = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let t = 0; t < k; t++) {
      for (let j = 0; j < n; j++) product[i * n + j] += a[i * k + t] * b[t * n + j];
    }
  }
  return product;
}

/** Shapes, order and sign; factors orthonormal where the value is positive and zero elsewhere. */
function expectSvd({ u, s, v }: TruncatedSvd, rows: number, columns: number, rank: number): void {
  expect([u.length, s.length, v.length]).toEqual([rows * rank, rank, columns * rank]);
  expect([...s]).toEqual([...s].sort((x, y) => y - x));
  const identity = diagonalOf(s.map((value) => (value > 0 ? 1 : 0)));
  for (const [factor, length] of [
    [u, rows],
    [v, columns],
  ] as const) {
    const gram = productOf(transposed(factor, length, rank), factor, rank, length, rank);
    expectClose(gram, identity, { atol: 2e-5, rtol: 0 });
  }
  for (let i = 0; i < rank; i++) {
    const column = u.filter((_, place) => place % rank === i);
    const largest = Math.max(...column.map(Math.abs));
    expect(Math.max(...column)).toBe(largest);
  }
}

function diagonalOf(values: Float32Array): Float32Array {
  return diagonal(values.length, (i) => values[i]);
}

/** Frobenius norm of a - u diag(s) v^T. */
function errorOf(a: Float32Array, { u, s, v }: TruncatedSvd, rows: number, columns: number): number {
  const scaled = u.map((value, place) => value * s[place % s.length]);
  const product = productOf(scaled, transposed(v, columns, s.length), rows, s.length, columns);
  return Math.hypot(...product.map((value, place) => value - a[place]));
}
