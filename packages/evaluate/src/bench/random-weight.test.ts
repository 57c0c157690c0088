import { fromBf16 } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { randomBf16, randomWeight, withRandomZeros, withTwoOfFour } from "./random-weight.js";

const zerosOf = (data: ArrayLike<number>) => Array.from(data).filter((bits) => (bits & 0x7fff) === 0).length;

describe("randomBf16", () => {
  it("randomBf16 gives numbers below the scale, none of them 0, the same for the same seed", () => {
    const data = randomBf16(300_000, 0.5, 1);
    expect(zerosOf(data)).toBe(0);
    expect(data.every((bits) => Math.abs(fromBf16(bits)) <= 0.5)).toBe(true);
    expect(randomBf16(300_000, 0.5, 1)).toEqual(data);
    expect(randomBf16(10, 0.5, 2)).not.toEqual(data.slice(0, 10));
  });

  it("randomBf16 gives as many numbers as asked, down to one", () => {
    expect(randomBf16(1, 1, 1)).toHaveLength(1);
  });
});

describe("zeros in random weights", () => {
  const weight = randomWeight({ outFeatures: 200, inFeatures: 203 });

  it.each([0.5, 0.7])("withRandomZeros makes a share of %f zero, and leaves the others", (zeros) => {
    const { data } = withRandomZeros(weight, zeros);
    // Six standard deviations of a binomial count.
    const tolerance = 6 * Math.sqrt(zeros * (1 - zeros) * data.length);
    expect(Math.abs(zerosOf(data) - zeros * data.length)).toBeLessThan(tolerance);
    expect(Array.from(data).every((bits, e) => bits === 0 || bits === weight.data[e])).toBe(true);
  });

  it("withTwoOfFour leaves 2 of each 4 neighbours along a row, at all places alike, and at least 1 of a shorter last group", () => {
    const { data } = withTwoOfFour(weight);
    const places = [0, 0, 0, 0];
    for (let row = 0; row < data.length; row += 203) {
      for (let i = 0; i < 203; i += 4) {
        const group = data.slice(row + i, row + Math.min(i + 4, 203));
        if (group.length === 4) expect(zerosOf(group)).toBe(2);
        else expect(group.length - zerosOf(group)).toBeGreaterThanOrEqual(1);
        group.forEach((bits, place) => {
          if (bits === 0) places[place]++;
        });
      }
    }
    for (const count of places) expect(Math.abs(count - 5000)).toBeLessThan(400);
  });
});
