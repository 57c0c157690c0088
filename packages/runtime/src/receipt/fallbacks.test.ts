import { expect, test } from "vitest";
import { groupFallbacks } from "./fallbacks.js";

const fallback = (operation: string, wanted: string, used: string) => ({
  operation,
  wanted,
  used,
  reason: `${wanted} is missing`,
});

test("groupFallbacks names each missing package and its reason once, with the operations by what runs them", () => {
  const fallbacks = [
    fallback("linear", "native", "onnx"),
    fallback("cache", "native", "reference"),
    fallback("elementwise", "far", "native"),
    fallback("primitives", "native", "reference"),
  ];
  expect(groupFallbacks(fallbacks)).toEqual([
    { wanted: "native", reason: "native is missing", replacements: "linear on onnx; cache, primitives on reference" },
    { wanted: "far", reason: "far is missing", replacements: "elementwise on native" },
  ]);
});

test("groupFallbacks of no fallback is empty", () => {
  expect(groupFallbacks([])).toEqual([]);
});
