import { fileURLToPath } from "node:url";
import { headsFirst, keeps, type Mask, maskStatistics, validateMask } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectFixture, fixtureFiles, readFixture } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { fixtures } from "./fixtures.js";
import plugin from "./index.js";
import { attend, keptKeys } from "./oracle.js";

const operations = createReference();
const model = { layers: 4, queryHeads: 4, kvHeads: 2, headDim: 8, contextLength: 4096 };

type Options = Parameters<typeof plugin.options.parse>[0];

function values(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 2 * Math.sin((i + 1) * 12.9898 + seed * 78.233));
}

function inputs(n: number) {
  const { queryHeads, kvHeads, headDim: d } = model;
  return {
    q: headsFirst(values(queryHeads * n * d, 1), queryHeads, n, d),
    k: headsFirst(values(kvHeads * n * d, 2), kvHeads, n, d),
    v: headsFirst(values(kvHeads * n * d, 3), kvHeads, n, d),
  };
}

function maskOf(n: number, options: Options, layer = 0): Mask {
  const masker = plugin.create(plugin.options.parse(options), model);
  const { q, k } = inputs(n);
  const [mask] = masker.plan({ model, layer, heads: { start: 0, end: 4 }, q, k, scale: 1, primitives: operations });
  validateMask(mask, n);
  return mask;
}

function keysOf(mask: Mask, i: number, n: number): number[] {
  return Array.from({ length: n }, (_, j) => j).filter((j) => keeps(mask, i, j, n));
}

function rows(data: ArrayLike<number>, head: number, n: number, d: number): number[][] {
  const all = Array.from(data);
  return Array.from({ length: n }, (_, i) => all.slice((head * n + i) * d, (head * n + i + 1) * d));
}

const small = { sinkTokens: 1, recentTokens: 2, denseLastTokens: 2 };

describe("tri-shape", () => {
  it("tri-shape with 1 sink, a window of 2 and 2 dense rows keeps the pairs of the picture", () => {
    const mask = maskOf(8, small);
    const picture = Array.from({ length: 8 }, (_, i) =>
      Array.from({ length: 8 }, (_, j) => Number(keeps(mask, i, j, 8))).join(""),
    );
    expect(picture).toEqual([
      "10000000",
      "11000000",
      "11100000",
      "10110000",
      "10011000",
      "10001100",
      "11111110",
      "11111111",
    ]);
  });

  it.each([1, 2, 63, 64, 65, 131])("tri-shape keeps the keys of the oracle in every row of %i tokens", (n) => {
    for (const [sinks, recent, last] of [
      [0, 1, 0],
      [3, 5, 1],
      [20, 30, 33],
      [64, 64, 64],
      [2, 3, 500],
    ]) {
      const mask = maskOf(n, { sinkTokens: sinks, recentTokens: recent, denseLastTokens: last });
      for (let i = 0; i < n; i++) expect(keysOf(mask, i, n)).toEqual(keptKeys(n, i, sinks, recent, last));
    }
  });

  it("tri-shape keeps the pairs of A-shape above the strip plus sum of i + 1 inside it", () => {
    const n = 300;
    let pairs = 0;
    for (let i = 0; i < n; i++)
      pairs += i >= n - 40 ? i + 1 : Math.min(i + 1, 50) + Math.max(0, Math.min(8, i + 1 - 50));
    const mask = maskOf(n, { sinkTokens: 8, recentTokens: 50, denseLastTokens: 40 });
    expect(maskStatistics(mask, n).keptPairs).toBe(pairs);
  });

  it("tri-shape leaves row 0 to the sparse part when denseLastTokens >= n: t = n - 1, and all rows are dense", () => {
    expect(maskOf(90, { denseLastTokens: 100 })).toMatchObject({ denseFromRow: 1 });
    expect(maskStatistics(maskOf(90, { ...small, denseLastTokens: 100 }), 90).density).toBe(1);
  });

  it("tri-shape with n = 1 is dense", () => {
    expect(maskStatistics(maskOf(1, small), 1).density).toBe(1);
  });

  it("tri-shape with denseLastTokens: 0 is A-shape", () => {
    const mask = maskOf(70, { sinkTokens: 2, recentTokens: 3, denseLastTokens: 0 });
    expect(keysOf(mask, 69, 70)).toEqual([0, 1, 67, 68, 69]);
  });

  it("tri-shape moves its strip with the end of the prompt, so it is not append-only", () => {
    expect(keysOf(maskOf(20, small), 18, 20)).toHaveLength(19);
    expect(keysOf(maskOf(21, small), 18, 21)).toEqual([0, 17, 18]);
  });

  it("tri-shape is dense in the layers before startingLayer (TriangleMix)", () => {
    const forms = [0, 1, 2, 3].map((layer) => maskOf(64, { startingLayer: 2 }, layer).form);
    expect(forms).toEqual(["dense", "dense", "band", "band"]);
  });

  it("tri-shape with startingLayer = number of layers is dense everywhere, and one more is refused", () => {
    const options = plugin.options.parse({ startingLayer: 4 });
    expect(plugin.check?.(options, model)).toEqual([]);
    expect(maskOf(64, { startingLayer: 4 }, 3).form).toBe("dense");
    const problems = plugin.check?.({ ...options, startingLayer: 5 }, model);
    expect(problems).toEqual([
      { path: ["startingLayer"], message: "startingLayer must be in 0..model.layers (4), got 5. Lower it." },
    ]);
  });

  it.each([1, 40, 65])("tri-shape attention over %i tokens with two query heads per KV head equals the oracle", (n) => {
    const { q, k, v } = inputs(n);
    const d = model.headDim;
    const output = new Float32Array(4 * n * d);
    const masks = [maskOf(n, { sinkTokens: 3, recentTokens: 9, denseLastTokens: 7 })];
    operations.prefillAttention({ q, k, v, out: headsFirst(output, 4, n, d), scale: 1 / Math.sqrt(d), masks });
    for (let head = 0; head < 4; head++) {
      const kvHead = Math.floor(head / 2);
      const [queries, keys, vals] = [rows(q.data, head, n, d), rows(k.data, kvHead, n, d), rows(v.data, kvHead, n, d)];
      const out = rows(output, head, n, d);
      for (let i = 0; i < n; i++) {
        attend(keptKeys(n, i, 3, 9, 7), queries[i], keys, vals).forEach((expected, c) => {
          // Outputs stay below 2: one float32 rounding of the result, with room for the order of float64 sums.
          expect(Math.abs(out[i][c] - expected)).toBeLessThan(2 ** -22);
        });
      }
    }
  });

  it.each([{ recentTokens: 0 }, { denseLastTokens: -1 }, { startingLayer: 0.5 }, { last_n: 8 }])(
    "tri-shape refuses %j",
    (options) => {
      expect(plugin.options.safeParse(options).success).toBe(false);
    },
  );

  const files = fixtureFiles("tri-shape", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("tri-shape reproduces the reference's outputs: %s", (path) => {
    const fixture = readFixture(path);
    expectFixture(fixture, fixtures.run(fixture, operations));
  });
});
