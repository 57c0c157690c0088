import { describe, expect, it } from "vitest";
import { matricesOverlap, matrixExtent, nonFiniteEntry } from "./matrix-view.js";

describe("matrixExtent", () => {
  it.each([
    [3, 4, 4, 12],
    [3, 4, 10, 24],
    [1, 4, 10, 4],
    [0, 4, 4, 0],
    [3, 0, 4, 0],
  ])("matrixExtent of %i rows of %i, %i apart, is %i", (rows, columns, stride, extent) => {
    expect(matrixExtent({ x: new Float32Array(30), rows, columns, stride })).toBe(extent);
  });
});

describe("matricesOverlap", () => {
  const memory = new Float32Array(20);
  const view = (start: number, rows: number, columns = 3, x = memory) => ({
    x: x.subarray(start),
    rows,
    columns,
    stride: columns + 1,
  });

  it.each([
    ["one element in common", view(0, 2), view(6, 2), true],
    ["neighbours", view(0, 2), view(7, 2), false],
    ["one inside the other", view(0, 4), view(5, 1), true],
    ["an empty one inside the other", view(0, 4), view(0, 0), false],
    ["separate memory", view(0, 2), view(0, 2, 3, new Float32Array(20)), false],
  ])("matricesOverlap: %s", (_, a, b, expected) => {
    expect(matricesOverlap(a, b)).toBe(expected);
    expect(matricesOverlap(b, a)).toBe(expected);
  });
});

describe("nonFiniteEntry", () => {
  it("nonFiniteEntry names operation, argument, value and place", () => {
    const x = Float32Array.of(1, 2, 0, 3, Number.NaN, 0);
    expect(nonFiniteEntry("multiplyAdd", "a", { x, rows: 2, columns: 2, stride: 3 }, 1, 1)).toMatchObject({
      code: "ERR_NON_FINITE",
      message: "Cannot run multiplyAdd: a must hold finite numbers, got NaN in row 1, column 1.",
    });
  });
});
