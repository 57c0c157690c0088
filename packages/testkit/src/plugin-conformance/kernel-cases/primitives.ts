import { type FloatDtype, headsFirst, type LayerOperations } from "@winnow/core";
import { Seeded } from "../../seeded.js";
import type { KernelCase } from "../kernel-compare.js";

const [ROWS, COLUMNS] = [5, 37];

const numbers = (seed: number, count: number) => new Seeded(seed).normals(count);

function plain(method: string, call: (operations: LayerOperations) => ArrayLike<number>): KernelCase {
  return { method, name: `${ROWS} x ${COLUMNS} numbers`, dtype: "f32", call };
}

/** Steps of estimation, and linear algebra. */
export function primitiveCases(operation: "primitives" | "linearAlgebra", dtypes: readonly FloatDtype[]): KernelCase[] {
  return operation === "primitives" ? [...dtypes.flatMap(tokenCases), ...estimationCases()] : algebraCases();
}

/** Steps over queries and keys. */
function tokenCases(dtype: FloatDtype): KernelCase[] {
  const q = () => headsFirst(numbers(2, 2 * ROWS * 8), 2, ROWS, 8);
  const k = () => headsFirst(new Seeded(3).stored(2 * COLUMNS * 8, dtype), 2, COLUMNS, 8);
  const name = `${COLUMNS} keys in ${dtype}`;
  return [
    {
      method: "scores",
      name,
      dtype,
      call: (o) =>
        into(ROWS * COLUMNS, (out) =>
          o.scores({ q: q(), k: k(), head: 1, kvHead: 0, scale: 0.5, causalOffset: COLUMNS - ROWS }, out),
        ),
    },
    { method: "poolMean", name, dtype, call: (o) => into(6 * 8, (out) => o.poolMean(k(), 1, 8, out)) },
  ];
}

function into(size: number, call: (out: Float32Array) => void): Float32Array {
  const out = new Float32Array(size);
  call(out);
  return out;
}

function estimationCases(): KernelCase[] {
  const matrix = () => numbers(1, ROWS * COLUMNS);
  return [
    plain("softmaxRows", (o) => {
      const x = matrix();
      o.softmaxRows(x, ROWS, COLUMNS);
      return x;
    }),
    plain("columnSums", (o) => into(COLUMNS, (out) => o.columnSums(matrix(), ROWS, COLUMNS, out))),
    plain("diagonalSums", (o) => into(COLUMNS, (out) => o.diagonalSums(matrix(), ROWS, COLUMNS, out))),
    plain("outerScores", (o) =>
      into(ROWS * 4, (out) => o.outerScores(numbers(4, ROWS * 8), numbers(5, 4 * 8), 8, 0.5, out)),
    ),
    plain("topK", (o) => o.topK(matrix(), 9, 3, 90)),
    plain("topK", (o) => o.topK(new Float32Array(40).fill(1), 7)),
    plain("topKRows", (o) => o.topKRows(matrix(), ROWS, COLUMNS, 6)),
    plain("prefixMass", (o) => o.prefixMass(matrix().map(Math.abs), 0.7)),
  ];
}

function algebraCases(): KernelCase[] {
  const gram = (operations: LayerOperations) => {
    const out = new Float32Array(ROWS * ROWS);
    operations.accumulateGram(numbers(6, COLUMNS * ROWS), COLUMNS, ROWS, out);
    return out;
  };
  return [
    plain("accumulateGram", gram),
    plain("inverseCholesky", (o) => {
      const out = new Float32Array(ROWS * ROWS);
      return [o.inverseCholesky(gram(o), ROWS, 1, out), ...out];
    }),
    plain("truncatedSvd", (o) => {
      const { u, s, v } = o.truncatedSvd(numbers(7, ROWS * COLUMNS), ROWS, COLUMNS, 3);
      return [...s, ...u, ...v];
    }),
    plain("multiplyAdd", (o) => {
      const c = numbers(8, ROWS * ROWS);
      const [a, b] = [numbers(9, ROWS * COLUMNS), numbers(10, COLUMNS * ROWS)];
      o.multiplyAdd({
        m: ROWS,
        n: ROWS,
        k: COLUMNS,
        alpha: -0.5,
        a,
        strideA: COLUMNS,
        b,
        strideB: ROWS,
        c,
        strideC: ROWS,
      });
      return c;
    }),
    plain("columnNorms", (o) => o.columnNorms(numbers(11, ROWS * COLUMNS), ROWS, COLUMNS)),
  ];
}
