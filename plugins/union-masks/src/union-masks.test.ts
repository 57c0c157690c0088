import { combineMasks, innerMasks, innerPairs, type MaskName, pairsOf } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const masks = innerMasks;
const plan = (names: readonly MaskName[], n: number) => combineMasks(plugin, masks, names, n);

const ascending = (pairs: Iterable<number>) => [...pairs].sort((a, b) => a - b);

function union(names: readonly string[], head: number, n: number): Set<number> {
  return new Set(names.flatMap((name) => [...innerPairs(masks, name, head, n)]));
}

describe("union-masks", () => {
  const cases = [
    ["blocks64", "band"],
    ["blocks16", "slashes"],
    ["odd", "blocks64", "slashes"],
    ["perHead", "blocks16"],
    ["wide", "wide"],
  ];
  it.each(cases.flatMap((names) => [1, 2, 63, 64, 65, 150].map((n) => ({ names, n }))))(
    "union-masks of $names over $n tokens keeps exactly the union of the pair sets",
    ({ names, n }) => {
      const planned = plan(names, n);
      for (let head = 0; head < 3; head++) {
        const mask = planned[planned.length === 1 ? 0 : head];
        expect(ascending(pairsOf(mask, n))).toEqual(ascending(union(names, head, n)));
      }
    },
  );

  it.each([65, 150])(
    "union-masks of two bands over %i tokens keeps the union and fewer than 64 keys a row more",
    (n) => {
      const [mask] = plan(["band", "wide"], n);
      const pairs = pairsOf(mask, n);
      const expected = union(["band", "wide"], 0, n);
      for (const pair of expected) expect(pairs.has(pair)).toBe(true);
      for (let i = 0; i < n; i++) {
        const extra = [...pairs].filter((pair) => Math.floor(pair / n) === i && !expected.has(pair));
        expect(extra.length).toBeLessThan(64);
      }
    },
  );

  it("union-masks nested three deep keeps the union of all", () => {
    const n = 130;
    const [mask] = plan(["blocks64", ["slashes", ["odd", "blocks16"]]], n);
    expect(ascending(pairsOf(mask, n))).toEqual(ascending(union(["blocks64", "slashes", "odd", "blocks16"], 0, n)));
  });

  it("union-masks with a dense mask stays dense, which kernels compute without lists", () => {
    expect(plan(["blocks16", "dense"], 100)).toEqual([{ form: "dense" }]);
    expect(plan(["perHead", "blocks16"], 100).map(({ form }) => form)).toEqual(["ranges", "ranges", "dense"]);
  });

  it("union-masks returns one mask where every inner masker returns one, else one per head", () => {
    expect(plan(["blocks16", "band"], 20)).toHaveLength(1);
    expect(plan(["blocks16", "perHead"], 20)).toHaveLength(3);
  });

  const a = { plugin: "a" };
  it.each([{ of: [] }, { of: [a] }, { of: Array(9).fill(a) }, { of: [a, { options: {} }] }, { of: "a" }, {}])(
    "union-masks refuses %j",
    (given) => {
      expect(plugin.options.safeParse(given).success).toBe(false);
    },
  );

  it("union-masks says so where a host makes no inner plugins", () => {
    const options = plugin.options.parse({ of: [{ plugin: "a" }, { plugin: "b" }] });
    const model = { layers: 2, queryHeads: 3, kvHeads: 1, headDim: 4, contextLength: 512 };
    expect(() => plugin.create(options, model)).toThrow("create was called without its third argument");
  });
});
