import { WinnowError } from "./errors.js";

/** A float32 matrix in an array, rows `stride` elements apart. */
export interface MatrixView {
  readonly x: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
}

/** One past the last element that the view can touch. */
export function matrixExtent({ rows, columns, stride }: MatrixView): number {
  return rows === 0 || columns === 0 ? 0 : (rows - 1) * stride + columns;
}

/** Whether the memory from the first to the last element of both has bytes in common. */
export function matricesOverlap(a: MatrixView, b: MatrixView): boolean {
  if (a.x.buffer !== b.x.buffer) return false;
  return a.x.byteOffset < b.x.byteOffset + 4 * matrixExtent(b) && b.x.byteOffset < a.x.byteOffset + 4 * matrixExtent(a);
}

/** `ERR_NON_FINITE` for an entry of an argument of `operation`; for the caller to throw. */
export function nonFiniteEntry(
  operation: string,
  argument: string,
  { x, stride }: MatrixView,
  row: number,
  column: number,
): WinnowError {
  return new WinnowError(
    "ERR_NON_FINITE",
    `Cannot run ${operation}: ${argument} must hold finite numbers, got ${x[row * stride + column]} in row ${row}, column ${column}.`,
  );
}
