import { describe, expect, it } from "vitest";
import { duration, met, ratio, shape, spread } from "./format.js";

describe("spread", () => {
  it("spread shows the median with the smallest and the largest value", () => {
    expect(spread({ median: 2, min: 1.5, max: 3, samples: [1.5, 2, 3] }, ratio)).toBe("2.00x (1.50x..3.00x)");
  });

  it("spread of one sample shows no range, because there is none", () => {
    expect(spread({ median: 2, min: 2, max: 2, samples: [2] }, ratio)).toBe("2.00x");
  });
});

it("shape names query heads, KV heads and head dimension", () => {
  expect(shape({ queryHeads: 6, kvHeads: 2, headDim: 64 })).toBe("6/2 heads of 64");
});

it("met says whether a target was reached", () => {
  expect([met(true), met(false)]).toEqual(["met", "missed"]);
});

it("duration keeps about three digits", () => {
  expect([1.234, 12.34, 123.4, 12340].map(duration)).toEqual(["1.23 ms", "12.3 ms", "123 ms", "12.34 s"]);
});
