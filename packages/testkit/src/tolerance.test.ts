import { describe, expect, it } from "vitest";
import { dotTolerance, expectClose } from "./tolerance.js";

const exact = { atol: 0, rtol: 0 };

describe("expectClose", () => {
  it("values inside atol + rtol * |expected| pass, equal infinities too", () => {
    expectClose([1.01, -20.2, Number.NEGATIVE_INFINITY], [1, -20, Number.NEGATIVE_INFINITY], {
      atol: 0.005,
      rtol: 0.011,
    });
  });

  it("names the worst element with expected, actual and bound", () => {
    const compare = () => expectClose([1.5, 4], [1, 2], { atol: 0.25, rtol: 0 });
    expect(compare).toThrow("element 1 of 2: expected 2, got 4; they differ by 2, the bound is 0.25");
  });

  it.each([
    ["NaN where a number is expected", [Number.NaN], [1]],
    ["NaN where NaN is expected", [Number.NaN], [Number.NaN]],
    ["infinity where a number is expected", [Number.POSITIVE_INFINITY], [1]],
    ["a number where infinity is expected", [1], [Number.POSITIVE_INFINITY]],
    ["the other infinity", [Number.POSITIVE_INFINITY], [Number.NEGATIVE_INFINITY]],
  ])("%s fails, however wide the bound", (_, actual, expected) => {
    expect(() => expectClose(actual, expected, { atol: 1e9, rtol: 1 })).toThrow(/element 0/);
  });

  it("another length fails", () => {
    expect(() => expectClose([1], [1, 2], exact)).toThrow("expected 2 elements, got 1");
  });
});

describe("dotTolerance", () => {
  it("a single product may be off by one rounding, 10000 products by 800", () => {
    expect(dotTolerance("f32", 1, 1).atol).toBe(2 ** -24);
    expect(dotTolerance("f32", 10000, 1).atol).toBe(800 * 2 ** -24);
  });

  it("scales with the magnitude; bf16 adds its own rounding", () => {
    expect(dotTolerance("f32", 4, 8).atol).toBe(32 * 2 ** -24);
    expect(dotTolerance("bf16", 4, 1).atol).toBe(4 * 2 ** -24 + 2 ** -8);
  });
});
