import {
  type LinearAlgebra,
  type MatrixView,
  type MultiplyTask,
  matricesOverlap,
  matrixExtent,
  nonFiniteEntry,
  type TruncatedSvd,
} from "@winnow/core";
import { check, checkArray, checkCount } from "./check.js";
import { singularTriplets } from "./singular-triplets.js";

export const linearAlgebra: LinearAlgebra = {
  accumulateGram,
  inverseCholesky,
  truncatedSvd,
  multiplyAdd,
  columnNorms,
};

function accumulateGram(x: Float32Array, rows: number, width: number, gram: Float32Array): void {
  const matrix = checkMatrix("accumulateGram", "x", x, rows, width);
  const sums = checkMatrix("accumulateGram", "gram", gram, width, width);
  check(!matricesOverlap(matrix, sums), "accumulateGram", "gram", "not overlap x", gram);
  checkFinite("accumulateGram", "x", matrix);
  for (let i = 0; i < width; i++) {
    for (let j = i; j < width; j++) {
      let sum = 0;
      for (let r = 0; r < rows; r++) sum += x[r * width + i] * x[r * width + j];
      gram[i * width + j] += sum;
      gram[j * width + i] = gram[i * width + j];
    }
  }
}

/** R with h + damping I = R R^T, column by column from the right; then U = R^-1. */
function inverseCholesky(h: Float32Array, n: number, damping: number, out: Float32Array): number {
  const matrix = checkMatrix("inverseCholesky", "h", h, n, n);
  check(Number.isFinite(damping) && damping >= 0, "inverseCholesky", "damping", "be a finite number >= 0", damping);
  checkMatrix("inverseCholesky", "out", out, n, n);
  checkFinite("inverseCholesky", "h", matrix);
  const root = new Float64Array(n * n);
  for (let j = n - 1; j >= 0; j--) {
    const remainder = (i: number): number => {
      let sum = h[i * n + j] + (i === j ? damping : 0);
      for (let t = j + 1; t < n; t++) sum -= root[i * n + t] * root[j * n + t];
      return sum;
    };
    const pivot = remainder(j);
    if (!(pivot > n * Number.EPSILON * (h[j * n + j] + damping))) return j;
    root[j * n + j] = Math.sqrt(pivot);
    for (let i = 0; i < j; i++) root[i * n + j] = remainder(i) / root[j * n + j];
  }
  out.set(upperInverse(root, n));
  return -1;
}

/** Column by column, from the bottom up: sum over t of R[i, t] U[t, j] is 1 on the diagonal and 0 elsewhere. */
function upperInverse(root: Float64Array, n: number): Float64Array {
  const inverse = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    for (let i = j; i >= 0; i--) {
      let sum = i === j ? 1 : 0;
      for (let t = i + 1; t <= j; t++) sum -= root[i * n + t] * inverse[t * n + j];
      inverse[i * n + j] = sum / root[i * n + i];
    }
  }
  return inverse;
}

function truncatedSvd(a: Float32Array, rows: number, columns: number, rank: number): TruncatedSvd {
  const matrix = checkMatrix("truncatedSvd", "a", a, rows, columns);
  checkCount("truncatedSvd", "rank", rank);
  const most = Math.min(rows, columns);
  check(rank <= most, "truncatedSvd", "rank", `be at most ${most}`, rank);
  checkFinite("truncatedSvd", "a", matrix);
  const triplets = singularTriplets(a, rows, columns);
  const [u, s, v] = [rows * rank, rank, columns * rank].map((length) => new Float32Array(length));
  for (let i = 0; i < rank; i++) {
    const { left, value, right } = triplets[i];
    s[i] = value;
    for (let r = 0; r < rows; r++) u[r * rank + i] = left[r];
    for (let c = 0; c < columns; c++) v[c * rank + i] = right[c];
  }
  return { u, s, v };
}

function multiplyAdd({ m, n, k, alpha, a, strideA, b, strideB, c, strideC }: MultiplyTask): void {
  for (const [name, size] of Object.entries({ m, n, k })) checkCount("multiplyAdd", name, size);
  check(Number.isFinite(Math.fround(alpha)), "multiplyAdd", "alpha", "be a finite float32", alpha);
  const left = checkMatrix("multiplyAdd", "a", a, m, k, strideA);
  const right = checkMatrix("multiplyAdd", "b", b, k, n, strideB);
  const sums = checkMatrix("multiplyAdd", "c", c, m, n, strideC);
  check(!matricesOverlap(left, sums) && !matricesOverlap(right, sums), "multiplyAdd", "c", "not overlap a or b", c);
  checkFinite("multiplyAdd", "a", left);
  checkFinite("multiplyAdd", "b", right);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let t = 0; t < k; t++) sum += a[i * strideA + t] * b[t * strideB + j];
      c[i * strideC + j] += alpha * sum;
    }
  }
}

function columnNorms(x: Float32Array, rows: number, columns: number): Float32Array {
  checkFinite("columnNorms", "x", checkMatrix("columnNorms", "x", x, rows, columns));
  const sums = new Float64Array(columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) sums[c] += x[r * columns + c] ** 2;
  }
  return Float32Array.from(sums, Math.sqrt);
}

function checkMatrix(
  operation: string,
  argument: string,
  x: Float32Array,
  rows: number,
  columns: number,
  stride = columns,
): MatrixView {
  checkCount(operation, `rows of ${argument}`, rows);
  checkCount(operation, `columns of ${argument}`, columns);
  checkCount(operation, `row stride of ${argument}`, stride, columns);
  const matrix = { x, rows, columns, stride };
  checkArray(operation, argument, x, Float32Array, matrixExtent(matrix));
  return matrix;
}

function checkFinite(operation: string, argument: string, matrix: MatrixView): void {
  const { x, rows, columns, stride } = matrix;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (!Number.isFinite(x[row * stride + column])) throw nonFiniteEntry(operation, argument, matrix, row, column);
    }
  }
}
