import { headsFirst, keeps, type MaskerContext, type Primitives, validateMask } from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { picture } from "./oracle.js";

const model = { layers: 1, queryHeads: 4, kvHeads: 2, headDim: 8, contextLength: 256 };

function plan(n: number, options: { recentTokens?: number }) {
  const context: MaskerContext = {
    model,
    layer: 0,
    heads: { start: 0, end: 4 },
    q: headsFirst(new Float32Array(4 * n * 8), 4, n, 8),
    k: headsFirst(new Float32Array(2 * n * 8), 2, n, 8),
    scale: 1,
    primitives: {} as Primitives,
  };
  return plugin.create(plugin.options.parse(options), model).plan(context);
}

function rowsOf(n: number, recentTokens: number): string[] {
  const [mask] = plan(n, { recentTokens });
  validateMask(mask, n);
  return Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => (keeps(mask, i, j, n) ? "1" : "0")).join(""),
  );
}

describe("hello-masker", () => {
  it("hello-masker keeps the query itself and the recentTokens - 1 keys before it", () => {
    expect(rowsOf(5, 2)).toEqual(["10000", "11000", "01100", "00110", "00011"]);
  });

  it.each([1, 2, 63, 64, 65, 130])("hello-masker equals the window written as a loop for %i tokens", (n) => {
    for (const recentTokens of [1, 7, 64, 200]) expect(rowsOf(n, recentTokens)).toEqual(picture(n, recentTokens));
  });

  it("hello-masker returns one mask for all query heads, however many share a KV head", () => {
    expect(plan(16, {})).toHaveLength(1);
  });

  it.each([0, -1, 1.5, "8", null])("hello-masker refuses recentTokens: %s", (recentTokens) => {
    expect(plugin.options.safeParse({ recentTokens }).success).toBe(false);
  });

  it("hello-masker refuses unknown options", () => {
    expect(plugin.options.safeParse({ recent: 8 }).success).toBe(false);
  });
});
