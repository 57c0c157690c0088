import { elementAt, type HeadTensor, type Primitives, type ScoreTask, WinnowError } from "@winnow/core";
import { check, checkArray, checkCount, checkHeads } from "./check.js";
import { headRows } from "./head-rows.js";
import { prefixMass, topK, topKRows } from "./selection.js";

export const primitives: Primitives = {
  scores,
  softmaxRows,
  columnSums,
  diagonalSums,
  poolMean,
  outerScores,
  topK,
  topKRows,
  prefixMass,
};

function scores({ q, k, head, kvHead, scale, causalOffset }: ScoreTask, out: Float32Array): void {
  checkHeads("scores", "q", q, { dtype: "f32" });
  checkHeads("scores", "k", k, { headDim: q.headDim });
  checkHead("scores", "head", head, q);
  checkHead("scores", "kvHead", kvHead, k);
  check(Number.isFinite(scale), "scores", "scale", "be a finite number", scale);
  const offset = causalOffset ?? k.length;
  check(Number.isSafeInteger(offset), "scores", "causalOffset", "be an integer", causalOffset);
  checkArray("scores", "out", out, Float32Array, q.length * k.length);
  const [queries, keys] = [headRows(q, head), headRows(k, kvHead)];
  for (let r = 0; r < q.length; r++) {
    for (let j = 0; j < k.length; j++) {
      out[r * k.length + j] = j > offset + r ? Number.NEGATIVE_INFINITY : scale * dot(queries, r, keys, j, q.headDim);
    }
  }
}

/** Of row r of `x` and row j of `y`, both `width` wide. */
function dot(x: Float32Array, r: number, y: Float32Array, j: number, width: number): number {
  let sum = 0;
  for (let c = 0; c < width; c++) sum += x[r * width + c] * y[j * width + c];
  return sum;
}

function softmaxRows(x: Float32Array, rows: number, columns: number): void {
  checkMatrix("softmaxRows", x, rows, columns);
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * columns, (r + 1) * columns);
    const max = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    if (!(max < Number.POSITIVE_INFINITY)) {
      throw new WinnowError("ERR_NON_FINITE", `Cannot run softmaxRows: row ${r} holds NaN or +Infinity.`);
    }
    if (max === Number.NEGATIVE_INFINITY) {
      row.fill(0);
      continue;
    }
    const weights = Float64Array.from(row, (value) => Math.exp(value - max));
    const total = weights.reduce((a, b) => a + b, 0);
    for (let j = 0; j < columns; j++) row[j] = weights[j] / total;
  }
}

function columnSums(x: Float32Array, rows: number, columns: number, out: Float32Array): void {
  checkMatrix("columnSums", x, rows, columns);
  checkArray("columnSums", "out", out, Float32Array, columns);
  for (let j = 0; j < columns; j++) {
    let sum = 0;
    for (let r = 0; r < rows; r++) sum += x[r * columns + j];
    out[j] = sum;
  }
}

function diagonalSums(x: Float32Array, rows: number, columns: number, out: Float32Array): void {
  checkMatrix("diagonalSums", x, rows, columns);
  checkArray("diagonalSums", "out", out, Float32Array, columns);
  for (let o = 0; o < columns; o++) {
    let sum = 0;
    for (let r = 0; r < rows; r++) {
      const j = columns - rows + r - o;
      if (j >= 0) sum += x[r * columns + j];
    }
    out[o] = sum;
  }
}

function poolMean(x: HeadTensor, head: number, blockSize: number, out: Float32Array): void {
  checkHeads("poolMean", "x", x);
  checkHead("poolMean", "head", head, x);
  checkCount("poolMean", "blockSize", blockSize, 1);
  checkArray("poolMean", "out", out, Float32Array, Math.ceil(x.length / blockSize) * x.headDim);
  check(out.length % x.headDim === 0, "poolMean", "out", `hold whole rows of ${x.headDim}`, out);
  for (let block = 0; block < out.length / x.headDim; block++) {
    const end = Math.min(x.length, (block + 1) * blockSize);
    for (let c = 0; c < x.headDim; c++) {
      let sum = 0;
      for (let t = block * blockSize; t < end; t++) sum += elementAt(x, head, t, c);
      out[block * x.headDim + c] = sum / blockSize;
    }
  }
}

function outerScores(x: Float32Array, y: Float32Array, d: number, scale: number, out: Float32Array): void {
  checkCount("outerScores", "d", d, 1);
  check(Number.isFinite(scale), "outerScores", "scale", "be a finite number", scale);
  for (const [name, array] of [
    ["x", x],
    ["y", y],
  ] as const) {
    checkArray("outerScores", name, array, Float32Array, 0);
    check(array.length % d === 0, "outerScores", name, `hold whole rows of ${d}`, array);
  }
  const rows = x.length / d;
  const columns = y.length / d;
  checkArray("outerScores", "out", out, Float32Array, rows * columns);
  for (let a = 0; a < rows; a++) {
    for (let b = 0; b < columns; b++) {
      out[a * columns + b] = scale * dot(x, a, y, b, d);
    }
  }
}

function checkMatrix(operation: string, x: Float32Array, rows: number, columns: number): void {
  checkCount(operation, "rows", rows);
  checkCount(operation, "columns", columns);
  checkArray(operation, "x", x, Float32Array, rows * columns);
}

function checkHead(operation: string, argument: string, head: number, x: HeadTensor): void {
  const inside = Number.isSafeInteger(head) && head >= 0 && head < x.heads;
  check(inside, operation, argument, `be in 0..${x.heads - 1}`, head);
}
