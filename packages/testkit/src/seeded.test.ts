import { fromBf16, toBf16 } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { Seeded } from "./seeded.js";
import { edgeSizes } from "./sizes.js";

describe("Seeded", () => {
  it("the same seed gives the same numbers, another seed others", () => {
    expect(new Seeded(5).normals(10)).toEqual(new Seeded(5).normals(10));
    expect(new Seeded(5).normals(10)).not.toEqual(new Seeded(6).normals(10));
  });

  it("20000 normals have mean 0 and variance 1", () => {
    const values = new Seeded(1).normals(20000);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
    // Five standard errors: 5 / sqrt(n) and 5 sqrt(2 / n).
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(20000));
    expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / 20000));
  });

  it("exactBf16 values survive the way through bf16", () => {
    const values = new Seeded(2).normals(500, { exactBf16: true });
    expect(values.map((x) => fromBf16(toBf16(x)))).toEqual(values);
    expect(new Set(values).size).toBeGreaterThan(100);
  });

  it("integers reach both ends; uniforms stay in their range", () => {
    const integers = new Seeded(3).integers(500, -2, 2);
    expect([...new Set(integers)].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
    expect(new Seeded(3).uniforms(500, 2, 3).every((x) => x >= 2 && x <= 3)).toBe(true);
  });

  it("subset gives different ascending integers", () => {
    const subset = new Seeded(4).subset(10, 12);
    expect(subset.length).toBe(10);
    expect(
      [...subset].every((value, place) => value >= 0 && value < 12 && (place === 0 || value > subset[place - 1])),
    ).toBe(true);
  });
});

describe("edgeSizes", () => {
  it("multiples of the block and their neighbours", () => {
    expect(edgeSizes(16, 33)).toEqual([1, 2, 15, 16, 17, 31, 32, 33]);
  });
});
