import { describe, expect, it } from "vitest";
import { createInt4Baseline } from "./int4-baseline.js";

function wave(length: number, step: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(step * i + 1));
}

describe("createInt4Baseline", () => {
  it.each([
    [1, 1],
    [5, 31],
    [16, 32],
    [7, 33],
    [20, 96],
  ])("run gives the product of a %i x %i matrix within 4-bit rounding, alike for every copy", async (out, width) => {
    const weight = wave(out * width, 0.37);
    const x = wave(width, 0.11);
    const baseline = await createInt4Baseline({
      ...{ weight, outFeatures: out, inFeatures: width, copies: 3, threads: 1 },
    });
    const results = await baseline.run(x);
    await baseline.close();
    // Half a step of 1/7 for each weight and of 1/127 for each input, all of magnitude <= 1.
    const tolerance = width * (0.5 / 7 + 0.5 / 127 + 1e-3);
    expect(results).toHaveLength(3);
    for (const result of results)
      for (let o = 0; o < out; o++) {
        let exact = 0;
        for (let i = 0; i < width; i++) exact += weight[o * width + i] * x[i];
        expect(Math.abs(result[o] - exact)).toBeLessThanOrEqual(tolerance);
      }
  });

  it("run is exact to float32 where weights and inputs are on their grids", async () => {
    const weight = Float32Array.from({ length: 32 }, (_, i) => (i % 15) - 7);
    const x = Float32Array.from({ length: 32 }, (_, i) => (i === 3 ? 127 : i - 16));
    const baseline = await createInt4Baseline({ weight, outFeatures: 1, inFeatures: 32, copies: 1, threads: 1 });
    const [[result]] = await baseline.run(x);
    await baseline.close();
    const exact = weight.reduce((sum, w, i) => sum + w * x[i], 0);
    expect(result).toBeCloseTo(exact, 2);
  });

  it("bytes counts 4 bits a weight and one float32 for each block of 32", async () => {
    const baseline = await createInt4Baseline({
      ...{ weight: new Float32Array(3 * 64), outFeatures: 3, inFeatures: 64, copies: 2, threads: 1 },
    });
    await baseline.close();
    expect(baseline.bytes).toBe(3 * (32 + 2 * 4));
    await expect(baseline.run(new Float32Array(64))).rejects.toMatchObject({ code: "ERR_ENGINE_CLOSED" });
  });

  it("a weight or an input of another size is refused", async () => {
    const sizes = { outFeatures: 2, inFeatures: 4, copies: 1, threads: 1 };
    await expect(createInt4Baseline({ ...sizes, weight: new Float32Array(7) })).rejects.toMatchObject({
      code: "ERR_OPERATION_ARGUMENT",
    });
    const baseline = await createInt4Baseline({ ...sizes, weight: new Float32Array(8) });
    await expect(baseline.run(new Float32Array(3))).rejects.toMatchObject({ code: "ERR_OPERATION_ARGUMENT" });
    await baseline.close();
  });
});
