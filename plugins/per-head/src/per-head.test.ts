import type { InnerPlugins, Mask, MaskerContext, PluginReference } from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const model = { layers: 2, queryHeads: 6, kvHeads: 2, headDim: 8, contextLength: 256 };

const band = (sinkTokens: number, recentTokens: number): Mask => ({
  form: "band",
  sinkTokens,
  recentTokens,
  denseFromRow: 256,
});

/** Maskers `each` return a mask per head that tells the head; others one mask that tells the length of their name. */
function host() {
  const calls: string[] = [];
  const plugins = {
    masker: ({ plugin: name }: PluginReference) => ({
      plan({ heads: { start, end } }: MaskerContext): Mask[] {
        calls.push(`${name} ${start}-${end - 1}`);
        if (name !== "each") return [band(name.length, 1)];
        return Array.from({ length: end - start }, (_, h) => band(0, 10 + start + h));
      },
    }),
  } as unknown as InnerPlugins;
  return { calls, plugins };
}

function plan(options: object, heads = { start: 0, end: 6 }) {
  const { calls, plugins } = host();
  const masks = plugin.create(plugin.options.parse(options), model, plugins).plan({ layer: 0, heads } as MaskerContext);
  return {
    calls,
    masks: masks.map((mask) => (mask.form === "band" ? `${mask.sinkTokens}/${mask.recentTokens}` : mask.form)),
  };
}

describe("per-head", () => {
  it("per-head gives each head its entry's mask and the rest to otherwise, asking once for each run of heads", () => {
    const heads = [
      { heads: [0, "2-3"], plugin: "each" },
      { heads: 5, plugin: "aa" },
    ];
    expect(plan({ heads, otherwise: { plugin: "b" } })).toEqual({
      masks: ["0/10", "1/1", "0/12", "0/13", "1/1", "2/1"],
      calls: ["each 0-0", "b 1-1", "each 2-3", "b 4-4", "aa 5-5"],
    });
  });

  it("per-head leaves heads dense that no entry selects where there is no otherwise", () => {
    expect(plan({ heads: [{ heads: 1, plugin: "a" }] }).masks).toEqual([
      "dense",
      "1/1",
      "dense",
      "dense",
      "dense",
      "dense",
    ]);
  });

  it("per-head lets the later of two entries win where they overlap", () => {
    const heads = [
      { heads: "0-5", plugin: "a" },
      { heads: "4-5", plugin: "bb" },
    ];
    expect(plan({ heads }).masks).toEqual(["1/1", "1/1", "1/1", "1/1", "2/1", "2/1"]);
  });

  it("per-head plans only the heads that it is asked for, by their absolute numbers", () => {
    const heads = [{ heads: "2-3", plugin: "each" }];
    expect(plan({ heads }, { start: 3, end: 5 })).toEqual({ masks: ["0/13", "dense"], calls: ["each 3-3"] });
  });

  it("per-head returns one mask where one entry with one mask serves all heads", () => {
    expect(plan({ heads: [{ heads: "0-5", plugin: "a" }] }).masks).toEqual(["1/1"]);
  });

  it("per-head refuses a selection that leaves the model's query heads, at its place", () => {
    const options = plugin.options.parse({ heads: [{ heads: "5-6", plugin: "a" }] });
    expect(plugin.check?.(options, model)).toEqual([
      { path: ["heads", 0, "heads"], message: 'must select query heads in 0..5, first before last, got "5-6"' },
    ]);
  });

  it.each([{}, { heads: [] }, { heads: [{ heads: 0 }] }, { heads: [{ heads: [], plugin: "a" }] }])(
    "per-head refuses %j",
    (options) => {
      expect(plugin.options.safeParse(options).success).toBe(false);
    },
  );
});
