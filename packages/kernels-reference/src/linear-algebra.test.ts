import { describe, expect, it } from "vitest";
import { createReference } from "./index.js";

const reference = createReference();
const floats = (...values: number[]) => Float32Array.from(values);

function expectNear(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(actual[i]).toBeCloseTo(value, 5);
  });
}

describe("accumulateGram", () => {
  it("gram += x^T x, both triangles", () => {
    const gram = floats(1, 0, 0, 1);
    reference.accumulateGram(floats(1, 2, 3, 4), 2, 2, gram);
    expect([...gram]).toEqual([11, 14, 14, 21]);
  });
});

describe("inverseCholesky", () => {
  // The worked example of SparseGPT: rows (1,0,1,0), (0,1,1,0), (1,1,0,1), (0,0,1,2), H = 2 X^T X, damping 0.01 of the mean diagonal.
  const h = floats(4, 2, 2, 2, 2, 4, 2, 2, 2, 2, 6, 4, 2, 2, 4, 10);

  it("diagonal of U in the worked example of SparseGPT", () => {
    const u = new Float32Array(16);
    expect(reference.inverseCholesky(h, 4, 0.06, u)).toBe(-1);
    [0.5925, 0.5474, 0.473, 0.3153].forEach((value, j) => {
      expect(u[j * 4 + j]).toBeCloseTo(value, 4);
    });
  });

  it("of a diagonal matrix: 1 / sqrt(h + damping)", () => {
    const u = new Float32Array(4);
    expect(reference.inverseCholesky(floats(3, 0, 0, 15), 2, 1, u)).toBe(-1);
    expectNear(u, [0.5, 0, 0, 0.25]);
  });

  it("names the column without a positive pivot", () => {
    expect(reference.inverseCholesky(floats(1, 0, 0, 0), 2, 0, new Float32Array(4))).toBe(1);
    expect(reference.inverseCholesky(floats(-1, 0, 0, 2), 2, 0, new Float32Array(4))).toBe(0);
    expect(reference.inverseCholesky(floats(1, 1, 1, 1), 2, 0, new Float32Array(4))).toBe(0);
  });
});

describe("truncatedSvd", () => {
  it("a = 3 e1 e2^T - 2 e2 e1^T: values 3 and 2, largest entries of u positive", () => {
    const { u, s, v } = reference.truncatedSvd(floats(0, 3, -2, 0), 2, 2, 2);
    expectNear(s, [3, 2]);
    expectNear(u, [1, 0, 0, 1]);
    expectNear(v, [0, -1, 1, 0]);
  });

  it("a wide matrix of rank 1: the second triplet is zero", () => {
    const { u, s, v } = reference.truncatedSvd(floats(1, 2, 2, 1, 2, 2), 2, 3, 2);
    expectNear(s, [Math.sqrt(18), 0]);
    expectNear(u, [Math.SQRT1_2, 0, Math.SQRT1_2, 0]);
    expectNear(v, [1 / 3, 0, 2 / 3, 0, 2 / 3, 0]);
  });
});

describe("multiplyAdd", () => {
  it("c += alpha * a b, and nothing between the rows of c", () => {
    const c = floats(1, 1, 9, 1, 1);
    reference.multiplyAdd({
      ...{ m: 2, n: 2, k: 1, alpha: 2 },
      ...{ a: floats(1, 0, 3), strideA: 2, b: floats(4, 5), strideB: 2, c, strideC: 3 },
    });
    expect([...c]).toEqual([9, 11, 9, 25, 31]);
  });
});

describe("columnNorms", () => {
  it("L2 norm of each column", () => {
    expectNear(reference.columnNorms(floats(3, 0, -4, 0), 2, 2), [5, 0]);
  });
});
