import type { InnerPlugins, Mask, MaskerContext, PluginReference } from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const model = { layers: 6, queryHeads: 4, kvHeads: 2, headDim: 8, contextLength: 256 };

/** A masker whose mask tells its name's length and its `width`. */
const plugins = {
  masker: ({ plugin: name, options }: PluginReference) => ({
    plan: (): Mask[] => [
      { form: "band", sinkTokens: name.length, recentTokens: Number(options.width ?? 1), denseFromRow: 256 },
    ],
  }),
} as unknown as InnerPlugins;

/** Per layer `dense`, or `sinks/recent` of its band. */
function choices(options: object): string[] {
  const masker = plugin.create(plugin.options.parse(options), model, plugins);
  return Array.from({ length: model.layers }, (_, layer) => {
    const [mask] = masker.plan({ layer, heads: { start: 0, end: 4 } } as MaskerContext);
    return mask.form === "band" ? `${mask.sinkTokens}/${mask.recentTokens}` : mask.form;
  });
}

describe("per-layer", () => {
  it("per-layer gives each layer its entry, with the entry's own options, and the rest to otherwise", () => {
    const layers = [
      { layers: "0-1", plugin: "a", options: { width: 8 } },
      { layers: [3, "5"], plugin: "bb" },
    ];
    expect(choices({ layers, otherwise: { plugin: "ccc", options: { width: 2 } } })).toEqual([
      "1/8",
      "1/8",
      "3/2",
      "2/1",
      "3/2",
      "2/1",
    ]);
  });

  it("per-layer leaves layers dense that no entry selects where there is no otherwise", () => {
    expect(choices({ layers: [{ layers: 2, plugin: "a" }] })).toEqual([
      "dense",
      "dense",
      "1/1",
      "dense",
      "dense",
      "dense",
    ]);
  });

  it("per-layer lets the later of two entries win where they overlap", () => {
    const layers = [
      { layers: "0-5", plugin: "a" },
      { layers: "2-3", plugin: "bb" },
      { layers: 3, plugin: "ccc" },
    ];
    expect(choices({ layers })).toEqual(["1/1", "1/1", "2/1", "3/1", "1/1", "1/1"]);
  });

  it("per-layer hands the context through as it is", () => {
    const seen: MaskerContext[] = [];
    const host = { masker: () => ({ plan: (context: MaskerContext) => [seen.push(context)] }) };
    const options = plugin.options.parse({ layers: [{ layers: 1, plugin: "a" }] });
    const context = { layer: 1, heads: { start: 1, end: 3 } } as MaskerContext;
    plugin.create(options, model, host as unknown as InnerPlugins).plan(context);
    expect(seen).toEqual([context]);
  });

  it.each([
    ["6", { layers: 6, plugin: "a" }],
    ['"4-6"', { layers: [0, "4-6"], plugin: "a" }],
  ])("per-layer refuses a selection that holds %s of six layers, at its place", (given, entry) => {
    const options = plugin.options.parse({ layers: [{ layers: 0, plugin: "a" }, entry] });
    expect(plugin.check?.(options, model)).toEqual([
      {
        path: ["layers", 1, "layers"],
        message: `must select layers in 0..5, first before last, got ${given}`,
      },
    ]);
  });

  it.each([
    {},
    { layers: [] },
    { layers: [{ layers: 0 }] },
    { layers: [{ plugin: "a" }] },
    { layers: [{ layers: "b", plugin: "a" }] },
  ])("per-layer refuses %j", (options) => {
    expect(plugin.options.safeParse(options).success).toBe(false);
  });
});
