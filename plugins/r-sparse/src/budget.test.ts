import { describe, expect, it } from "vitest";
import { budgetOf } from "./budget.js";

describe("r-sparse budget", () => {
  it.each([
    [4096, 4096, 1945, 51],
    [14336, 4096, 1945, 80],
    [4096, 14336, 6809, 79],
    [11008, 4096, 1945, 75],
    [4096, 11008, 5228, 74],
  ])("%i x %i at s = .5, rho = .95 has %i channels and rank %i", (outFeatures, inFeatures, channels, rank) => {
    const budget = budgetOf(outFeatures, inFeatures, { sparsity: 0.5, ratio: 0.95 }, 0);
    expect(budget).toMatchObject({ mode: "both", channels, rank });
    expect(budget.channelSparsity).toBeCloseTo(0.525, 12);
  });

  const ratios = [0, 0.05, 0.3, 0.6, 0.95, 0.999, 1];
  it.each(ratios)("rho = %f never exceeds in out (1 - s), and one more rank would", (ratio) => {
    for (const [outFeatures, inFeatures] of [
      [1, 1],
      [3, 7],
      [128, 384],
      [384, 1024],
      [1000, 1],
    ])
      for (const sparsity of [0, 0.1, 0.25, 0.5, 0.7, 1]) {
        const { channels, rank } = budgetOf(outFeatures, inFeatures, { sparsity, ratio }, 0);
        const read = (r: number) => channels * outFeatures + r * (inFeatures + outFeatures);
        const allowed = inFeatures * outFeatures * (1 - sparsity);
        expect(read(rank)).toBeLessThanOrEqual(allowed * (1 + 1e-12));
        if (ratio < 1) expect(read(rank + 1)).toBeGreaterThan(allowed);
      }
  });

  it.each([
    [1, "sparse"],
    [0, "low-rank"],
    [0.5, "both"],
  ] as const)("rho = %f runs %s", (ratio, mode) => {
    expect(budgetOf(64, 64, { sparsity: 0.5, ratio }, 0).mode).toBe(mode);
  });

  it("a matrix of one weight has neither channel nor rank; with a table it has one of both", () => {
    const setting = { sparsity: 0.5, ratio: 0.5 };
    expect(budgetOf(1, 1, setting, 0)).toMatchObject({ channels: 0, rank: 0 });
    expect(budgetOf(1, 1, setting, 1)).toMatchObject({ channels: 1, rank: 1 });
  });

  it("rho = 1 has no rank, with a table or without", () => {
    for (const least of [0, 1] as const) expect(budgetOf(64, 64, { sparsity: 0.3, ratio: 1 }, least).rank).toBe(0);
  });
});
