import { describe, expect, it } from "vitest";
import { affordableWorkingSet, copiesFor, rSparseBudget } from "./weight-budgets.js";

describe("rSparseBudget", () => {
  it.each([
    // Budgets of the paper's models at s = 0.5, rho = 0.95.
    [4096, 4096, 1945, 51],
    [14336, 4096, 1945, 80],
    [4096, 14336, 6809, 79],
    [11008, 4096, 1945, 75],
    [4096, 11008, 5228, 74],
  ])("rSparseBudget of a %i x %i matrix is %i channels and rank %i", (outFeatures, inFeatures, channels, rank) => {
    expect(rSparseBudget({ outFeatures, inFeatures }, 0.5, 0.95)).toEqual({ channels, rank });
  });

  it.each([
    [1, 1],
    [3, 17],
    [64, 5],
    [100, 100],
  ])("rank is the largest that keeps a %i x %i matrix within what may be read", (outFeatures, inFeatures) => {
    const { channels, rank } = rSparseBudget({ outFeatures, inFeatures }, 0.4, 0.8);
    const read = (r: number) => channels * outFeatures + r * (inFeatures + outFeatures);
    const budget = outFeatures * inFeatures * 0.6;
    expect(read(rank)).toBeLessThanOrEqual(budget + 1e-9);
    expect(read(rank + 1)).toBeGreaterThan(budget - 1e-9);
  });

  it("rho 1 leaves nothing for the low rank but what rounding left, rho 0 nothing for channels", () => {
    expect(rSparseBudget({ outFeatures: 64, inFeatures: 64 }, 0.5, 1)).toEqual({ channels: 32, rank: 0 });
    expect(rSparseBudget({ outFeatures: 64, inFeatures: 64 }, 0.5, 0)).toEqual({ channels: 0, rank: 16 });
  });
});

it("copiesFor is the smallest number that reaches the working set, and never 0", () => {
  expect([copiesFor(100, 300), copiesFor(100, 301), copiesFor(100, 1), copiesFor(100, 0)]).toEqual([3, 4, 1, 1]);
});

it("affordableWorkingSet takes at most half of the free memory for all variants together", () => {
  expect(affordableWorkingSet(300, 10, 6001)).toBe(300);
  expect(affordableWorkingSet(300, 10, 4000)).toBe(200);
});
