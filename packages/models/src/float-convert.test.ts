import { describe, expect, it } from "vitest";
import { fromF16, toF16 } from "./float-convert.js";

describe("toF16", () => {
  it("toF16 gives back every finite float16, both zeros and both infinities", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      if ((bits & 0x7fff) > 0x7c00) continue;
      expect(toF16(fromF16(bits))).toBe(bits);
    }
  });

  it("toF16 rounds to the nearest, ties to even, over every gap between neighbours", () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const low = fromF16(bits);
      const gap = fromF16(bits + 1) - low;
      expect(toF16(low + gap / 2)).toBe(bits % 2 ? bits + 1 : bits);
      expect(toF16(low + gap * 0.499)).toBe(bits);
      expect(toF16(-(low + gap * 0.501))).toBe(0x8000 | (bits + 1));
    }
  });

  it("toF16 gives infinity from 65520 on and NaN for NaN", () => {
    expect(toF16(65519)).toBe(0x7bff);
    expect(toF16(65520)).toBe(0x7c00);
    expect(toF16(-1e38)).toBe(0xfc00);
    expect(fromF16(toF16(NaN))).toBeNaN();
  });
});
