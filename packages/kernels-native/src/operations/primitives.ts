import { type Primitives, WinnowError } from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkFinite, checkHead, checkHeads, checkInteger } from "../check.js";
import { selectionOperations } from "./selection.js";

export function primitiveOperations(kernels: NativeKernels): Primitives {
  return {
    ...selectionOperations(kernels),

    scores({ q, k, head, kvHead, scale, causalOffset }, out) {
      checkHeads("scores", "q", q, { dtype: "f32" });
      checkHeads("scores", "k", k, { headDim: q.headDim });
      checkHead("scores", "head", head, q);
      checkHead("scores", "kvHead", kvHead, k);
      checkFinite("scores", "scale", scale);
      if (causalOffset !== undefined) checkInteger("scores", "causalOffset", causalOffset, -(2 ** 31));
      checkArray("scores", "out", out, Float32Array, q.length * k.length);
      kernels.scores({ q, k, head, kvHead, scale, causalOffset, out });
    },

    outerScores(x, y, d, scale, out) {
      checkInteger("outerScores", "d", d, 1);
      checkFinite("outerScores", "scale", scale);
      checkRowsOf("outerScores", "x", x, d);
      checkRowsOf("outerScores", "y", y, d);
      checkArray("outerScores", "out", out, Float32Array, (x.length / d) * (y.length / d));
      kernels.outerScores({ x, y, d, scale, out });
    },

    softmaxRows(x, rows, columns) {
      checkMatrix("softmaxRows", x, rows, columns);
      const row = kernels.softmaxRows({ x, rows, columns });
      if (row < 0) return;
      throw new WinnowError(
        "ERR_NON_FINITE",
        `Cannot run softmaxRows: row ${row} holds NaN or +Infinity; -Infinity marks what is hidden.`,
      );
    },

    columnSums(x, rows, columns, out) {
      checkMatrix("columnSums", x, rows, columns);
      checkArray("columnSums", "out", out, Float32Array, columns);
      kernels.columnSums({ x, rows, columns, out });
    },

    diagonalSums(x, rows, columns, out) {
      checkMatrix("diagonalSums", x, rows, columns);
      checkArray("diagonalSums", "out", out, Float32Array, columns);
      kernels.diagonalSums({ x, rows, columns, out });
    },

    poolMean(x, head, blockSize, out) {
      checkHeads("poolMean", "x", x);
      checkHead("poolMean", "head", head, x);
      checkInteger("poolMean", "blockSize", blockSize, 1);
      checkRowsOf("poolMean", "out", out, x.headDim, Math.ceil(x.length / blockSize));
      kernels.poolMean({ x, head, blockSize, out });
    },
  };
}

function checkMatrix(operation: string, x: Float32Array, rows: number, columns: number): void {
  checkInteger(operation, "rows", rows);
  checkInteger(operation, "columns", columns);
  checkArray(operation, "x", x, Float32Array, rows * columns);
}

function checkRowsOf(operation: string, argument: string, x: Float32Array, width: number, rows = 0): void {
  checkArray(operation, argument, x, Float32Array, rows * width);
  check(x.length % width === 0, operation, argument, `hold whole rows of ${width}`, x);
}
