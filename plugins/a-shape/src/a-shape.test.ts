import { fileURLToPath } from "node:url";
import { headsFirst, keeps, type Mask, maskStatistics, validateMask } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectFixture, fixtureFiles, readFixture } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { fixtures } from "./fixtures.js";
import plugin from "./index.js";
import { attendRow, keptKeys } from "./oracle.js";

const operations = createReference();
const model = { layers: 2, queryHeads: 4, kvHeads: 2, headDim: 8, contextLength: 4096 };
const defaults = plugin.options.parse({});

/** Values in [-2, 2] that repeat for each seed. */
function values(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 2 * Math.sin((i + 1) * 12.9898 + seed * 78.233));
}

function inputs(n: number, seed = 1) {
  const { queryHeads, kvHeads, headDim: d } = model;
  return {
    q: headsFirst(values(queryHeads * n * d, seed), queryHeads, n, d),
    k: headsFirst(values(kvHeads * n * d, seed + 1), kvHeads, n, d),
    v: headsFirst(values(kvHeads * n * d, seed + 2), kvHeads, n, d),
  };
}

function maskOf(n: number, sinkTokens: number, recentTokens: number): Mask {
  const masker = plugin.create({ sinkTokens, recentTokens }, model);
  const { q, k } = inputs(n);
  const [mask] = masker.plan({ model, layer: 0, heads: { start: 0, end: 4 }, q, k, scale: 1, primitives: operations });
  validateMask(mask, n);
  return mask;
}

function keysOf(mask: Mask, i: number, n: number): number[] {
  return Array.from({ length: n }, (_, j) => j).filter((j) => keeps(mask, i, j, n));
}

function attend({ q, k, v }: ReturnType<typeof inputs>, mask: Mask): Float32Array {
  const output = new Float32Array(q.heads * q.length * q.headDim);
  const out = headsFirst(output, q.heads, q.length, q.headDim);
  operations.prefillAttention({ q, k, v, out, scale: 1 / Math.sqrt(q.headDim), masks: [mask] });
  return output;
}

function rows(data: ArrayLike<number>, head: number, n: number, d: number): number[][] {
  const all = Array.from(data);
  return Array.from({ length: n }, (_, i) => all.slice((head * n + i) * d, (head * n + i + 1) * d));
}

describe("a-shape", () => {
  it("a-shape with 2 sinks and a window of 3 keeps the pairs of the picture", () => {
    const mask = maskOf(7, 2, 3);
    const picture = Array.from({ length: 7 }, (_, i) =>
      Array.from({ length: 7 }, (_, j) => Number(keeps(mask, i, j, 7))).join(""),
    );
    expect(picture).toEqual(["1000000", "1100000", "1110000", "1111000", "1111100", "1101110", "1100111"]);
  });

  it("a-shape with 2 sinks and a window of 3 lets row 6 read keys 0, 1, 4, 5, 6", () => {
    expect(keysOf(maskOf(7, 2, 3), 6, 7)).toEqual([0, 1, 4, 5, 6]);
  });

  it("a-shape counts the query in its window: with a window of 1 and no sinks, each row reads itself only", () => {
    const mask = maskOf(70, 0, 1);
    for (let i = 0; i < 70; i++) expect(keysOf(mask, i, 70)).toEqual([i]);
  });

  it.each([1, 2, 63, 64, 65, 131])("a-shape keeps the keys of the oracle in every row of %i tokens", (n) => {
    for (const [sinks, recent] of [
      [0, 1],
      [3, 5],
      [64, 64],
      [20, 70],
      [500, 2],
      [1, 500],
    ]) {
      const mask = maskOf(n, sinks, recent);
      for (let i = 0; i < n; i++) expect(keysOf(mask, i, n)).toEqual(keptKeys(i, sinks, recent));
    }
  });

  it("a-shape keeps min(i + 1, n_local) + max(0, min(n_init, i + 1 - n_local)) keys in row i", () => {
    const [n, sinks, recent] = [4100, 128, 3968];
    let pairs = 0;
    for (let i = 0; i < n; i++) pairs += Math.min(i + 1, recent) + Math.max(0, Math.min(sinks, i + 1 - recent));
    expect(maskStatistics(maskOf(n, sinks, recent), n).keptPairs).toBe(pairs);
  });

  it.each([3968, 4096])("a-shape with its defaults is dense for %i tokens, and not for one more than 4096", (n) => {
    const { sinkTokens, recentTokens } = defaults;
    expect(maskStatistics(maskOf(n, sinkTokens, recentTokens), n).density).toBe(1);
    expect(maskStatistics(maskOf(4097, sinkTokens, recentTokens), 4097).density).toBeLessThan(1);
  });

  it.each([1, 40, 65])(
    "a-shape attention over %i tokens with two query heads per KV head equals the two-stage oracle",
    (n) => {
      const all = inputs(n);
      const actual = attend(all, maskOf(n, 3, 9));
      const d = model.headDim;
      for (let head = 0; head < 4; head++) {
        const kvHead = Math.floor(head / 2);
        const [q, k, v] = [
          rows(all.q.data, head, n, d),
          rows(all.k.data, kvHead, n, d),
          rows(all.v.data, kvHead, n, d),
        ];
        const out = rows(actual, head, n, d);
        for (let i = 0; i < n; i++) {
          attendRow(i, q[i], k, v, 3, 9).forEach((expected, c) => {
            // Outputs stay below 2: one float32 rounding of the result, with room for the order of float64 sums.
            expect(Math.abs(out[i][c] - expected)).toBeLessThan(2 ** -22);
          });
        }
      }
    },
  );

  it("a-shape gives the mean of the kept values when all scores are equal", () => {
    const all = inputs(12);
    all.q.data.fill(0);
    const out = rows(attend(all, maskOf(12, 2, 3)), 0, 12, 8);
    const v = rows(all.v.data, 0, 12, 8);
    const expected = [0, 1, 9, 10, 11].reduce((sum, j) => sum + v[j][5], 0) / 5;
    expect(out[11][5]).toBeCloseTo(expected, 6);
  });

  it("a-shape ignores keys in the gap: changing one changes no row outside its window", () => {
    const before = inputs(40);
    const changed = inputs(40);
    changed.k.data.fill(9, 10 * 8, 11 * 8);
    const mask = maskOf(40, 2, 5);
    const [a, b] = [rows(attend(before, mask), 0, 40, 8), rows(attend(changed, mask), 0, 40, 8)];
    expect(a.map((row, i) => row.some((x, c) => x !== b[i][c]))).toEqual(a.map((_, i) => i >= 10 && i < 15));
  });

  it("a-shape is append-only: a longer prompt keeps the rows of a shorter one", () => {
    const [short, long] = [maskOf(99, 4, 20), maskOf(100, 4, 20)];
    for (let i = 0; i < 99; i++) expect(keysOf(long, i, 100)).toEqual(keysOf(short, i, 99));
  });

  it.each([{ recentTokens: 0 }, { sinkTokens: -1 }, { sinkTokens: 1.5 }, { window: 8 }])(
    "a-shape refuses %j",
    (options) => {
      expect(plugin.options.safeParse(options).success).toBe(false);
    },
  );

  const files = fixtureFiles("a-shape", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("a-shape reproduces the reference's outputs: %s", (path) => {
    const fixture = readFixture(path);
    expectFixture(fixture, fixtures.run(fixture, operations));
  });
});
