import type { CompressContext, DecodeContext, InnerPlugins, KvPruner, PrefillEndContext, ReadPlan } from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const model = { layers: 1, queryHeads: 2, kvHeads: 1, headDim: 4, contextLength: 512 };
const kept = { indices: Int32Array.of(0), offsets: Int32Array.of(0, 1) };
const elements = { kept: 1, indices: Uint16Array.of(0) };
const packed = { count: 1, k: elements, v: elements };
const lists: ReadPlan = {
  read: "lists",
  lists: { indices: Int32Array.of(0, 1), offsets: Int32Array.of(0, 1, 2) },
};

/** A pruner that logs its calls in its state, reads by `plan` and keeps token 0. */
function logging(plan: ReadPlan): KvPruner<string[]> {
  return {
    observationQueries: 7,
    createState: () => [],
    afterPrefill(_, state) {
      state.push("afterPrefill");
      return kept;
    },
    select(context, state) {
      state.push(`select ${context.length}`);
      return plan;
    },
    observe(_, state, scores) {
      state.push(`observe ${scores}`);
    },
    afterAttention(_, state) {
      state.push("afterAttention");
      return kept;
    },
    compress(_, state) {
      state.push("compress");
      return packed;
    },
  };
}

function wrap(inner: KvPruner, tokens = 64): KvPruner {
  const plugins = { kvPruner: () => inner } as unknown as InnerPlugins;
  return plugin.create(plugin.options.parse({ tokens, inner: { plugin: "inner" } }), model, plugins);
}

const at = (length: number) => ({ length }) as DecodeContext;

describe("dense-cache-below", () => {
  it.each([1, 63])("dense-cache-below 64 reads all of %i tokens where the inner pruner would read lists", (length) => {
    const pruner = wrap(logging(lists));
    expect(pruner.select?.(at(length), pruner.createState())).toEqual({ read: "all" });
  });

  it.each([64, 65])("dense-cache-below 64 reads the inner pruner's lists of %i tokens", (length) => {
    const pruner = wrap(logging(lists));
    expect(pruner.select?.(at(length), pruner.createState())).toBe(lists);
  });

  it("dense-cache-below leaves reads of everything as they are: with scores, and in parts", () => {
    const scores: ReadPlan = { read: "all", scores: true };
    const parts: ReadPlan = { read: "parts", parts: [{ start: 0, end: 5, queryPosition: 4 }] };
    for (const plan of [scores, parts]) {
      const pruner = wrap(logging(plan));
      expect(pruner.select?.(at(5), pruner.createState())).toBe(plan);
    }
  });

  it("dense-cache-below forwards every hook with the inner state, also while it reads everything", () => {
    const pruner = wrap(logging(lists));
    const [first, second] = [pruner.createState(), pruner.createState()];
    expect(pruner.observationQueries).toBe(7);
    expect(pruner.afterPrefill?.({} as PrefillEndContext, first)).toBe(kept);
    pruner.select?.(at(5), first);
    pruner.select?.(at(6), second);
    pruner.observe?.(at(5), first, Float32Array.of(1, 2));
    expect(pruner.afterAttention?.(at(5), first)).toBe(kept);
    expect(pruner.compress?.({} as CompressContext, first)).toBe(packed);
    expect(first).toEqual(["afterPrefill", "select 5", "observe 1,2", "afterAttention", "compress"]);
    expect(second).toEqual(["select 6"]);
  });

  it("dense-cache-below has the hooks that the inner pruner has, and no others", () => {
    const pruner = wrap({ createState: () => null, select: () => lists });
    expect(Object.keys(pruner)).toEqual(["createState", "select"]);
  });

  it("dense-cache-below refuses a pruner that only drops tokens: it would change nothing", () => {
    const evicting = { createState: () => null, afterPrefill: () => kept };
    expect(() => wrap(evicting)).toThrow(
      expect.objectContaining({
        code: "ERR_PLAN_CONFLICT",
        message: expect.stringContaining('"inner", which only drops tokens'),
      }),
    );
  });

  it.each([{ tokens: 0, inner: { plugin: "a" } }, { tokens: 8 }, { inner: { plugin: "a" } }])(
    "dense-cache-below refuses %j",
    (options) => {
      expect(plugin.options.safeParse(options).success).toBe(false);
    },
  );
});
