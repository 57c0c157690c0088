import { maskStatistics, validateMask } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { maskCases } from "./mask-cases.js";

describe("maskCases", () => {
  it.each([1, 63, 64, 1000])("maskCases gives valid masks over %i tokens, one for each head or one for all", (n) => {
    for (const { masks } of maskCases(n, 3)) {
      expect([1, 3]).toContain(masks.length);
      for (const mask of masks) expect(() => validateMask(mask, n)).not.toThrow();
    }
  });

  it("maskCases keeps about as many blocks as the name of the case says, besides the diagonal", () => {
    const n = 8192;
    const diagonal = maskStatistics({ form: "blocks", blockSize: 64, bits: identity(n / 64) }, n).density;
    for (const { name, masks } of maskCases(n, 1).filter((mask) => mask.name.startsWith("blocks"))) {
      const wanted = Number(name.split(" ")[1]);
      const expected = diagonal + (1 - diagonal) * wanted;
      // Standard deviation of a mean over 128 * 127 / 2 blocks, five times.
      const tolerance = 5 * Math.sqrt((wanted * (1 - wanted)) / 8128);
      expect(Math.abs(maskStatistics(masks[0], n).density - expected)).toBeLessThan(tolerance);
    }
  });

  it("maskCases gives the same masks again for the same seed, and others for another", () => {
    expect(maskCases(500, 2, 7)).toEqual(maskCases(500, 2, 7));
    expect(maskCases(500, 2, 7)).not.toEqual(maskCases(500, 2, 8));
  });
});

function identity(blocks: number): Uint8Array {
  const bits = new Uint8Array(blocks * blocks);
  for (let a = 0; a < blocks; a++) bits[a * blocks + a] = 1;
  return bits;
}
