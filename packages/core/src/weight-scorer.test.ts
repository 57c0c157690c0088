import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  type DenseWeight,
  floatValues,
  keepByScore,
  patternOf,
  type SparsityPattern,
  sparsifierFromScorer,
  sparsityOptions,
  toBf16,
  type WeightContext,
  WinnowError,
  withoutWeights,
} from "./index.js";

/** The definition of `Primitives.topK`, by sorting. */
function topK(values: Float32Array, k: number): Int32Array {
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
  return Int32Array.from(order.slice(0, k)).sort();
}

function keep(scores: number[], outFeatures: number, inFeatures: number, pattern: SparsityPattern): number[] {
  return [...keepByScore(Float32Array.from(scores), outFeatures, inFeatures, pattern, { topK })];
}

describe("keepByScore", () => {
  it("row: the lowest floor(in * sparsity) of each row go", () => {
    const pattern = { pattern: "row", sparsity: 0.5 } as const;
    expect(keep([5, 1, 4, 2, 3, 1, 2, 3, 4, 5], 2, 5, pattern)).toEqual([1, 0, 1, 0, 1, 0, 0, 1, 1, 1]);
  });

  it("matrix: the lowest floor(out * in * sparsity) of all go, wherever they are", () => {
    const pattern = { pattern: "matrix", sparsity: 0.5 } as const;
    expect(keep([9, 8, 7, 6, 1, 2, 3, 4], 2, 4, pattern)).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
    expect(keep([9, 8, 7, 1, 2, 3], 1, 6, { pattern: "matrix", sparsity: 0.4 })).toEqual([1, 1, 1, 0, 0, 1]);
  });

  it("groups: of each 4 neighbours the 2 with the highest scores stay", () => {
    const pattern = { pattern: "groups", keep: 2, of: 4 } as const;
    expect(keep([1, 2, 3, 4, 8, 5, 7, 6], 1, 8, pattern)).toEqual([0, 0, 1, 1, 1, 0, 1, 0]);
  });

  it("groups end with the row: a shorter last one keeps min(keep, size)", () => {
    const pattern = { pattern: "groups", keep: 2, of: 4 } as const;
    expect(keep([1, 2, 3, 4, 5, 4, 3, 2, 1, 0], 2, 5, pattern)).toEqual([0, 0, 1, 1, 1, 1, 1, 0, 0, 1]);
    expect(keep([3, 2, 1], 1, 3, pattern)).toEqual([1, 1, 0]);
  });

  it("of equal scores the lower index goes", () => {
    expect(keep([1, 1, 1, 1], 1, 4, { pattern: "row", sparsity: 0.5 })).toEqual([0, 0, 1, 1]);
    expect(keep([1, 1, 1, 1], 2, 2, { pattern: "matrix", sparsity: 0.5 })).toEqual([0, 0, 1, 1]);
    expect(keep([2, 2, 2, 2], 1, 4, { pattern: "groups", keep: 1, of: 2 })).toEqual([0, 1, 0, 1]);
  });

  it.each(["row", "matrix"] as const)("%s: sparsity 0 keeps all, 1 none", (pattern) => {
    expect(keep([1, 2, 3, 4], 2, 2, { pattern, sparsity: 0 })).toEqual([1, 1, 1, 1]);
    expect(keep([1, 2, 3, 4], 2, 2, { pattern, sparsity: 1 })).toEqual([0, 0, 0, 0]);
  });

  it("a score of Infinity stays, one of -Infinity goes first", () => {
    const pattern = { pattern: "row", sparsity: 0.5 } as const;
    expect(keep([Number.POSITIVE_INFINITY, 1, 2, Number.NEGATIVE_INFINITY], 1, 4, pattern)).toEqual([1, 0, 1, 0]);
  });

  it("scores of another size are refused", () => {
    expect(() => keep([1, 2, 3], 2, 2, { pattern: "row", sparsity: 0.5 })).toThrow(
      new WinnowError("ERR_PLUGIN_RESULT", "Weight scores must hold 2 x 2 numbers, got 3."),
    );
  });
});

describe("patternOf", () => {
  it("unstructured: weights compete within rows, or within the group that the method names", () => {
    expect(patternOf({ sparsity: 0.3, pattern: "unstructured" })).toEqual({ pattern: "row", sparsity: 0.3 });
    expect(patternOf({ sparsity: 0.3, pattern: "unstructured" }, "matrix")).toEqual({
      pattern: "matrix",
      sparsity: 0.3,
    });
  });

  it("N:M: groups, whatever the sparsity", () => {
    expect(patternOf({ sparsity: 0.3, pattern: { keep: 2, of: 4 } }, "matrix")).toEqual({
      pattern: "groups",
      keep: 2,
      of: 4,
    });
  });
});

describe("sparsityOptions", () => {
  const schema = z.strictObject(sparsityOptions);

  it("half of the weights, unstructured, by default", () => {
    expect(schema.parse({})).toEqual({ sparsity: 0.5, pattern: "unstructured" });
  });

  it.each([
    [{ sparsity: 1.1 }],
    [{ sparsity: -0.1 }],
    [{ pattern: { keep: 5, of: 4 } }],
    [{ pattern: { keep: 0, of: 4 } }],
    [{ pattern: { keep: 1, of: 3 } }],
    [{ pattern: "2:4" }],
  ])("%j is refused", (options) => {
    expect(schema.safeParse(options).success).toBe(false);
  });
});

const weight: DenseWeight = {
  format: "dense",
  dtype: "f32",
  outFeatures: 2,
  inFeatures: 2,
  data: Float32Array.of(-1, 2, 3, -4),
  bias: Float32Array.of(1, 2),
};

describe("withoutWeights", () => {
  it("copies, with zeros where nothing is kept; bias and kept weights are the same bits", () => {
    const result = withoutWeights(weight, Uint8Array.of(0, 1, 1, 0));
    expect(result).toEqual({ ...weight, data: Float32Array.of(0, 2, 3, 0) });
    expect([...weight.data]).toEqual([-1, 2, 3, -4]);
  });

  it("bf16 stays bf16", () => {
    const data = Uint16Array.from(weight.data, toBf16);
    const result = withoutWeights({ ...weight, dtype: "bf16", data }, Uint8Array.of(1, 0, 1, 1));
    expect(result.data).toEqual(Uint16Array.of(data[0], 0, data[2], data[3]));
  });
});

describe("sparsifierFromScorer", () => {
  it("removes what scores lowest and asks for the scorer's statistics", () => {
    const pattern = { pattern: "row", sparsity: 0.5 } as const;
    const sparsifier = sparsifierFromScorer({
      statistics: ["norm"],
      pattern,
      score: ({ weight, statistics }) => floatValues(weight).map((w, e) => Math.abs(w) * statistics.norm![e % 2]),
    });
    const context = {
      weight,
      statistics: { tokens: 1, sequences: 1, norm: Float32Array.of(10, 1) },
      operations: { topK },
    } as unknown as WeightContext;
    expect(sparsifier.statistics).toEqual(["norm"]);
    expect(sparsifier.sparsify(context)).toEqual({ ...weight, data: Float32Array.of(-1, 0, 3, 0) });
  });
});

it("floatValues: the array itself of f32, widened bits of bf16", () => {
  expect(floatValues(weight)).toBe(weight.data);
  const data = Uint16Array.from(weight.data, toBf16);
  expect(floatValues({ ...weight, dtype: "bf16", data })).toEqual(weight.data);
});
