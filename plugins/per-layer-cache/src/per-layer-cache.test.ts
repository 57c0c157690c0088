import {
  type CompressContext,
  type DecodeContext,
  elementAt,
  type InnerPlugins,
  type KvPruner,
  type PrefillEndContext,
  tokensFirst,
} from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const model = { layers: 4, queryHeads: 1, kvHeads: 1, headDim: 1, contextLength: 512 };
const kept = { indices: Int32Array.of(0), offsets: Int32Array.of(0, 1) };
const elements = { kept: 1, indices: Uint16Array.of(0) };
const packed = { count: 1, k: elements, v: elements };

/** A pruner that logs its hooks in its state; option `queries` is what it wants to see of the prompt. */
function logging(name: string, queries?: number): KvPruner<string[]> {
  return {
    ...(queries !== undefined && { observationQueries: queries }),
    createState: () => [name],
    afterPrefill({ layer, q }, state) {
      state.push(`afterPrefill ${layer}: ${Array.from({ length: q.length }, (_, t) => elementAt(q, 0, t, 0))}`);
      return kept;
    },
    select({ layer }, state) {
      state.push(`select ${layer}`);
      return { read: "all", scores: true };
    },
    observe({ layer }, state, scores) {
      state.push(`observe ${layer}: ${scores}`);
    },
    afterAttention({ layer }, state) {
      state.push(`afterAttention ${layer}`);
      return kept;
    },
    compress({ layer }, state) {
      state.push(`compress ${layer}`);
      return packed;
    },
  };
}

const plugins = {
  kvPruner: ({ plugin: name, options }) =>
    name === "bare" ? { createState: () => null } : (logging(name, options.queries as number | undefined) as KvPruner),
} as InnerPlugins;

const create = (options: object) => plugin.create(plugin.options.parse(options), model, plugins);
const statesOf = (state: unknown) => (state as { inner: unknown[] }).inner;
const at = (layer: number) => ({ layer }) as DecodeContext;
const compressAt = (layer: number) => ({ layer }) as CompressContext;

/** The end of a prompt whose last queries are 0, 1, ... count - 1. */
const promptEnd = (layer: number, count: number) =>
  ({
    layer,
    q: tokensFirst(
      Float32Array.from({ length: count }, (_, t) => t),
      1,
      count,
      1,
    ),
  }) as PrefillEndContext;

const layers = [
  { layers: "0-1", plugin: "a", options: { queries: 2 } },
  { layers: 1, plugin: "b", options: { queries: 5 } },
];

describe("per-layer-cache", () => {
  it("per-layer-cache sends each layer's hooks to its entry, the later one where two overlap, the rest to otherwise", () => {
    const pruner = create({ layers, otherwise: { plugin: "rest" } });
    const state = pruner.createState();
    for (let layer = 0; layer < 4; layer++) {
      expect(pruner.select?.(at(layer), state)).toEqual({ read: "all", scores: true });
      pruner.observe?.(at(layer), state, Float32Array.of(layer));
      expect(pruner.afterAttention?.(at(layer), state)).toBe(kept);
      expect(pruner.compress?.(compressAt(layer), state)).toBe(packed);
    }
    const log = (layer: number) => [
      `select ${layer}`,
      `observe ${layer}: ${layer}`,
      `afterAttention ${layer}`,
      `compress ${layer}`,
    ];
    expect(statesOf(state)).toEqual([
      ["a", ...log(0)],
      ["b", ...log(1)],
      ["rest", ...log(2), ...log(3)],
    ]);
  });

  it("per-layer-cache asks for as many queries as the most curious entry and shows each entry its own number", () => {
    const pruner = create({ layers, otherwise: { plugin: "rest" } });
    expect(pruner.observationQueries).toBe(5);
    const state = pruner.createState();
    for (let layer = 0; layer < 3; layer++) expect(pruner.afterPrefill?.(promptEnd(layer, 5), state)).toBe(kept);
    expect(statesOf(state)).toEqual([
      ["a", "afterPrefill 0: 3,4"],
      ["b", "afterPrefill 1: 0,1,2,3,4"],
      ["rest", "afterPrefill 2: "],
    ]);
  });

  it("per-layer-cache shows an entry all queries of a prompt that is shorter than it wants", () => {
    const pruner = create({ layers });
    const state = pruner.createState();
    for (const layer of [0, 1]) pruner.afterPrefill?.(promptEnd(layer, 1), state);
    expect(statesOf(state)).toEqual([
      ["a", "afterPrefill 0: 0"],
      ["b", "afterPrefill 1: 0"],
    ]);
  });

  it("per-layer-cache reads and keeps the whole cache of layers that no entry selects, and of pruners without hooks", () => {
    const pruner = create({ layers: [{ layers: 0, plugin: "bare" }] });
    const state = pruner.createState();
    for (const layer of [0, 3]) {
      expect(pruner.afterPrefill?.(promptEnd(layer, 0), state)).toBeUndefined();
      expect(pruner.select?.(at(layer), state)).toEqual({ read: "all" });
      expect(pruner.afterAttention?.(at(layer), state)).toBeUndefined();
      expect(pruner.compress?.(compressAt(layer), state)).toBeUndefined();
    }
  });

  it("per-layer-cache keeps interleaved sequences apart, also after their states were cloned", () => {
    const pruner = create({ layers });
    let first = pruner.createState();
    let second = pruner.createState();
    pruner.select?.(at(0), first);
    first = structuredClone(first);
    pruner.select?.(at(1), second);
    second = structuredClone(second);
    pruner.afterAttention?.(at(0), first);
    expect(statesOf(first)).toEqual([["a", "select 0", "afterAttention 0"], ["b"]]);
    expect(statesOf(second)).toEqual([["a"], ["b", "select 1"]]);
  });

  it("per-layer-cache nests: an entry may be a per-layer-cache with a state of its own", () => {
    const nested = {
      kvPruner: (reference) =>
        reference.plugin === "per-layer-cache"
          ? plugin.create(plugin.options.parse(reference.options), model, nested)
          : plugins.kvPruner(reference),
    } as InnerPlugins;
    const deepest = { layers: [{ layers: 2, plugin: "deep", options: { queries: 9 } }] };
    const middle = { layers: [{ layers: 2, plugin: "per-layer-cache", options: deepest }] };
    const options = { layers: [{ layers: "1-3", plugin: "per-layer-cache", options: middle }] };
    const pruner = plugin.create(plugin.options.parse(options), model, nested);
    const state = pruner.createState();
    expect(pruner.observationQueries).toBe(9);
    for (let layer = 0; layer < 4; layer++) pruner.select?.(at(layer), state);
    expect(state).toEqual({ inner: [{ inner: [{ inner: [["deep", "select 2"]] }] }] });
  });

  it("per-layer-cache refuses a selection that leaves the model's layers, at its place", () => {
    const options = plugin.options.parse({ layers: [{ layers: ["0", 4], plugin: "a" }] });
    expect(plugin.check?.(options, model)).toEqual([
      { path: ["layers", 0, "layers"], message: "must select layers in 0..3, first before last, got 4" },
    ]);
  });

  it.each([{}, { layers: [] }, { layers: [{ layers: 0 }] }, { layers: [{ plugin: "a" }] }])(
    "per-layer-cache refuses %j",
    (options) => {
      expect(plugin.options.safeParse(options).success).toBe(false);
    },
  );
});
