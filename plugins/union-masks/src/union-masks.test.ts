import {
  type InnerPlugins,
  keeps,
  lowerMask,
  type Mask,
  type Masker,
  type MaskerContext,
  type PluginReference,
  validateMask,
} from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const model = { layers: 2, queryHeads: 3, kvHeads: 1, headDim: 4, contextLength: 512 };

/** Key blocks drawn with a fixed seed, the diagonal among them. */
function blocks(blockSize: number, seed: number): (n: number) => Mask {
  return (n) => {
    const count = Math.ceil(n / blockSize);
    const bits = new Uint8Array(count * count);
    for (let a = 0; a < count; a++)
      for (let b = 0; b <= a; b++) bits[a * count + b] = Number(a === b || ((a * 31 + b * 17 + seed) * 7919) % 5 < 2);
    return { form: "blocks", blockSize, bits };
  };
}

const band =
  (sinkTokens: number, recentTokens: number) =>
  (n: number): Mask => ({ form: "band", sinkTokens, recentTokens, denseFromRow: n });

const slashes = (n: number): Mask => ({
  form: "vertical-slash",
  columns: Int32Array.of(0, 5).filter((j) => j < n),
  slashes: Int32Array.of(70, 3, 0).filter((offset) => offset < n),
  exact: false,
});

const dense = (): Mask => ({ form: "dense" });

/** Inner maskers by name: one mask for all heads, or one per head. */
const masks: Record<string, readonly ((n: number) => Mask)[]> = {
  blocks64: [blocks(64, 1)],
  blocks16: [blocks(16, 2)],
  odd: [blocks(7, 3)],
  band: [band(2, 9)],
  wide: [band(0, 70)],
  slashes: [slashes],
  dense: [dense],
  perHead: [blocks(32, 4), band(1, 1), dense],
};

const plugins = {
  masker({ plugin: name, options }): Masker {
    if (name === "union-masks") return plugin.create(plugin.options.parse(options), model, plugins);
    return { plan: ({ q }) => masks[name].map((mask) => mask(q.length)) };
  },
} as InnerPlugins;

/** Names become references, lists of them a nested union-masks. */
const reference = (name: unknown): PluginReference =>
  typeof name === "string"
    ? { plugin: name, options: {} }
    : { plugin: "union-masks", options: { of: (name as unknown[]).map(reference) } };

function plan(names: readonly unknown[], n: number): readonly Mask[] {
  const of = names.map(reference);
  const context = { model, layer: 0, heads: { start: 0, end: 3 }, q: { length: n } } as unknown as MaskerContext;
  const planned = plugin.create(plugin.options.parse({ of }), model, plugins).plan(context);
  for (const mask of planned) validateMask(mask, n);
  return planned;
}

/** Pairs that the kernels compute of a mask, as an explicit set. */
function pairsOf(mask: Mask, n: number): Set<number> {
  const lowered = lowerMask(mask, n);
  const pairs = new Set<number>();
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) if (keeps(lowered, i, j, n)) pairs.add(i * n + j);
  return pairs;
}

const innerPairs = (name: string, head: number, n: number) => pairsOf((masks[name][head] ?? masks[name][0])(n), n);

const ascending = (pairs: Iterable<number>) => [...pairs].sort((a, b) => a - b);

function union(names: readonly string[], head: number, n: number): Set<number> {
  return new Set(names.flatMap((name) => [...innerPairs(name, head, n)]));
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
    expect(() => plugin.create(options, model)).toThrow("create was called without its third argument");
  });
});
