import type { Operations } from "@winnow/core";
import { loadKernelPackage } from "@winnow/runtime";
import { beforeAll, describe, expect, it } from "vitest";
import { copyWeight, largestByThreshold, randomInput, type WeightCase, weightCases } from "./weight-cases.js";

describe("largestByThreshold", () => {
  const passing = (x: Float32Array, { thresholds, scale }: { thresholds: Float32Array; scale?: Float32Array }) =>
    Array.from(x.keys()).filter((j) => Math.fround(Math.abs(x[j]) * (scale?.[j] ?? 1)) > thresholds[0]);
  const x = Float32Array.of(-4, 1, 0, 3, -2);

  it.each([
    [0, []],
    [1, [0]],
    [3, [0, 3, 4]],
    [5, [0, 1, 2, 3, 4]],
  ])("largestByThreshold keeps exactly %i entries", (keep, expected) => {
    const selection = largestByThreshold(x, keep);
    expect(selection.rule === "threshold" && passing(x, selection)).toEqual(expected);
  });

  it("largestByThreshold compares entries times their scale", () => {
    const selection = largestByThreshold(x, 2, Float32Array.of(0.1, 9, 1, 1, 1));
    expect(selection.rule === "threshold" && passing(x, selection)).toEqual([1, 3]);
  });
});

it("copyWeight copies every array, nested ones too, to other memory", () => {
  const weight = { format: "x", data: Uint16Array.of(1, 2), selection: { thresholds: Float32Array.of(3) } };
  const copy = copyWeight(weight);
  expect(copy).toEqual(weight);
  expect(copy.data.buffer).not.toBe(weight.data.buffer);
  expect(copy.selection.thresholds.buffer).not.toBe(weight.selection.thresholds.buffer);
});

describe("weightCases", () => {
  const shape = { outFeatures: 64, inFeatures: 96 };
  const x = randomInput(shape.inFeatures);
  let cases: WeightCase[];
  let read: Map<string, number>;

  beforeAll(async () => {
    const { operations } = await (await loadKernelPackage("reference")).load({ threads: 1, isa: "auto" });
    cases = weightCases(shape, x, operations as Operations);
    const out = new Float32Array(shape.outFeatures);
    read = new Map();
    for (const { name, weight } of cases) read.set(name, await operations.linear!(x, 1, weight, out, false, 1));
  });

  it("weightCases begins with the dense weights of both types", () => {
    expect(cases.slice(0, 2).map(({ name }) => name)).toEqual(["dense bf16", "dense int8"]);
    expect(read.get("dense bf16")).toBe(2 * 64 * 96);
    expect(read.get("dense int8")).toBe(64 * 96 + 64 * 8);
  });

  it("a bitmap reads one bit a weight and the stored values, about as many as its share says", () => {
    const { weight } = cases.find(({ name }) => name === "bitmap bf16, 70 % zeros")!;
    const stored = weight.format === "bitmap" ? weight.offsets.at(-1)! : Number.NaN;
    expect(Math.abs(stored - 0.3 * 64 * 96)).toBeLessThan(250);
    const bytes = read.get("bitmap bf16, 70 % zeros")! - (64 * 96) / 8 - 2 * stored;
    // Offsets of 4 panels and what vector loads may read beyond the end.
    expect(bytes).toBeGreaterThanOrEqual(0);
    expect(bytes).toBeLessThanOrEqual(5 * 4 + 64);
  });

  it("channels reads the half of the rows that is selected", () => {
    expect(read.get("channels, 50 % skipped")).toBe(64 * 96);
  });

  it("R-Sparse reads at most half of the matrix", () => {
    const name = [...read.keys()].find((key) => key.startsWith("R-Sparse"))!;
    expect(read.get(name)).toBeLessThanOrEqual(64 * 96);
    expect(read.get(name)).toBeGreaterThan(0.85 * 64 * 96);
  });
});
