import {
  type LinearAlgebra,
  type MatrixView,
  type MultiplyTask,
  matricesOverlap,
  matrixExtent,
  nonFiniteEntry,
} from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkFinite, checkInteger } from "../check.js";

export function algebraOperations(kernels: NativeKernels): LinearAlgebra {
  const requireFinite = (operation: string, argument: string, matrix: MatrixView): void => {
    const place = kernels.firstNonFinite(matrix);
    if (place < 0) return;
    const { columns } = matrix;
    throw nonFiniteEntry(operation, argument, matrix, Math.floor(place / columns), place % columns);
  };

  return {
    accumulateGram(x, rows, width, gram) {
      const matrix = checkMatrix("accumulateGram", "x", x, rows, width);
      const sums = checkMatrix("accumulateGram", "gram", gram, width, width);
      check(!matricesOverlap(matrix, sums), "accumulateGram", "gram", "not overlap x", gram);
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

function checkMultiply({ m, n, k, alpha, a, strideA, b, strideB, c, strideC }: MultiplyTask): {
  a: MatrixView;
  b: MatrixView;
} {
  for (const [name, size] of Object.entries({ m, n, k })) checkInteger("multiplyAdd", name, size);
  check(Number.isFinite(Math.fround(alpha)), "multiplyAdd", "alpha", "be a finite float32", alpha);
  const left = checkMatrix("multiplyAdd", "a", a, m, k, strideA);
  const right = checkMatrix("multiplyAdd", "b", b, k, n, strideB);
  const sums = checkMatrix("multiplyAdd", "c", c, m, n, strideC);
  check(!matricesOverlap(left, sums) && !matricesOverlap(right, sums), "multiplyAdd", "c", "not overlap a or b", c);
  return { a: left, b: right };
}

function checkMatrix(
  operation: string,
  argument: string,
  x: Float32Array,
  rows: number,
  columns: number,
  stride = columns,
): MatrixView {
  checkInteger(operation, `rows of ${argument}`, rows);
  checkInteger(operation, `columns of ${argument}`, columns);
  checkInteger(operation, `row stride of ${argument}`, stride, columns);
  const matrix = { x, rows, columns, stride };
  checkArray(operation, argument, x, Float32Array, matrixExtent(matrix));
  return matrix;
}
