import { type LinearAlgebra, type MultiplyTask, WinnowError } from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkFinite, checkInteger } from "../check.js";

/** A matrix in an array, rows `stride` elements apart. */
interface Matrix {
  readonly x: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
}

export function algebraOperations(kernels: NativeKernels): LinearAlgebra {
  const requireFinite = (operation: string, argument: string, matrix: Matrix): void => {
    const place = kernels.firstNonFinite(matrix);
    if (place >= 0) throw nonFinite(operation, argument, matrix, place);
  };

  return {
    accumulateGram(x, rows, width, gram) {
      const matrix = checkMatrix("accumulateGram", "x", x, rows, width);
      const sums = checkMatrix("accumulateGram", "gram", gram, width, width);
      check(!overlap(matrix, sums), "accumulateGram", "gram", "not overlap x", gram);
      requireFinite("accumulateGram", "x", matrix);
      kernels.accumulateGram({ x, rows, width, gram });
    },

    inverseCholesky(h, n, damping, out) {
      const matrix = checkMatrix("inverseCholesky", "h", h, n, n);
      checkFinite("inverseCholesky", "damping", damping);
      check(damping >= 0, "inverseCholesky", "damping", "be at least 0", damping);
      checkMatrix("inverseCholesky", "out", out, n, n);
      requireFinite("inverseCholesky", "h", matrix);
      return kernels.inverseCholesky({ h, n, damping, out });
    },

    truncatedSvd(a, rows, columns, rank) {
      const matrix = checkMatrix("truncatedSvd", "a", a, rows, columns);
      checkInteger("truncatedSvd", "rank", rank, 0, Math.min(rows, columns));
      requireFinite("truncatedSvd", "a", matrix);
      const [u, s, v] = [rows * rank, rank, columns * rank].map((length) => new Float32Array(length));
      kernels.truncatedSvd({ a, rows, columns, rank, u, s, v });
      return { u, s, v };
    },

    multiplyAdd(task) {
      const { a, b } = checkMultiply(task);
      requireFinite("multiplyAdd", "a", a);
      requireFinite("multiplyAdd", "b", b);
      kernels.multiplyAdd(task);
    },

    columnNorms(x, rows, columns) {
      const matrix = checkMatrix("columnNorms", "x", x, rows, columns);
      requireFinite("columnNorms", "x", matrix);
      const out = new Float32Array(columns);
      kernels.columnNorms({ x, rows, columns, out });
      return out;
    },
  };
}

function checkMultiply({ m, n, k, alpha, a, strideA, b, strideB, c, strideC }: MultiplyTask): { a: Matrix; b: Matrix } {
  for (const [name, size] of Object.entries({ m, n, k })) checkInteger("multiplyAdd", name, size);
  check(Number.isFinite(Math.fround(alpha)), "multiplyAdd", "alpha", "be a finite float32", alpha);
  const left = checkMatrix("multiplyAdd", "a", a, m, k, strideA);
  const right = checkMatrix("multiplyAdd", "b", b, k, n, strideB);
  const sums = checkMatrix("multiplyAdd", "c", c, m, n, strideC);
  check(!overlap(left, sums) && !overlap(right, sums), "multiplyAdd", "c", "not overlap a or b", c);
  return { a: left, b: right };
}

function checkMatrix(
  operation: string,
  argument: string,
  x: Float32Array,
  rows: number,
  columns: number,
  stride = columns,
): Matrix {
  checkInteger(operation, `rows of ${argument}`, rows);
  checkInteger(operation, `columns of ${argument}`, columns);
  checkInteger(operation, `row stride of ${argument}`, stride, columns);
  const matrix = { x, rows, columns, stride };
  checkArray(operation, argument, x, Float32Array, extentOf(matrix));
  return matrix;
}

/** One past the last element. */
function extentOf({ rows, columns, stride }: Matrix): number {
  return rows === 0 || columns === 0 ? 0 : (rows - 1) * stride + columns;
}

function overlap(a: Matrix, b: Matrix): boolean {
  if (a.x.buffer !== b.x.buffer) return false;
  return a.x.byteOffset < b.x.byteOffset + 4 * extentOf(b) && b.x.byteOffset < a.x.byteOffset + 4 * extentOf(a);
}

function nonFinite(operation: string, argument: string, { x, columns, stride }: Matrix, place: number): WinnowError {
  const [row, column] = [Math.floor(place / columns), place % columns];
  return new WinnowError(
    "ERR_NON_FINITE",
    `Cannot run ${operation}: ${argument} must hold finite numbers, got ${x[row * stride + column]} in row ${row}, column ${column}.`,
  );
}
