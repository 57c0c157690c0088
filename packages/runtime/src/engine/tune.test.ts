import { createEngine, type Engine } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { modelFolder, someIds, withFolder, writePlugin } from "../../test-support/engines.js";

describe("Engine.tune", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ model: modelFolder, threads: 1 }, { alsoLoad: ["tidal-decode", "snapkv"] });
  });
  afterAll(() => engine.close());

  const prompts = [someIds(100)];

  test("gives options that the plugin takes, the table behind them, and rising progress", async () => {
    const shares: number[] = [];
    const hooks = { onProgress: (share: number) => shares.push(share) };
    const result = await engine.tune("tidal-decode", { budget: 16, steps: 2 }, prompts, hooks);
    expect(result.options).toMatchObject({ budget: 16, selectionLayers: expect.any(Array) });
    expect(result.report.length).toBeGreaterThan(0);
    expect(shares.length).toBeGreaterThan(0);
  });

  const refused: [string, [string, Record<string, unknown>, Int32Array[]], string, RegExp][] = [
    [
      "an unknown setting, listing those that exist",
      ["tidal-decode", { layers: 1 }, prompts],
      "ERR_OPTION_UNKNOWN",
      /Allowed: budget/,
    ],
    ["a setting out of range", ["tidal-decode", { budget: 0 }, prompts], "ERR_OPTION_RANGE", /budget .*got 0/],
    ["a plugin without a search", ["snapkv", {}, prompts], "ERR_PLUGIN_INVALID", /nothing to tune/],
    ["ids outside the vocabulary", ["tidal-decode", {}, [Int32Array.of(9000)]], "ERR_PROMPT", /got 9000/],
    ["an empty prompt", ["tidal-decode", {}, [new Int32Array(0)]], "ERR_PROMPT", /empty/],
  ];
  test.each(refused)("refuses %s", async (_, args, code, message) => {
    await expect(engine.tune(...args)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test("stops when its signal is aborted", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const hooks = { signal: controller.signal, onProgress: () => controller.abort(reason) };
    await expect(engine.tune("tidal-decode", { steps: 500 }, [someIds(2000)], hooks)).rejects.toBe(reason);
    expect((await engine.encode("a")).length).toBeGreaterThan(0);
  });

  test("blames a search that throws by the plugin's name", () =>
    withFolder(async (folder) => {
      const search = `() => ({ createState: () => ({}) }),
        tune: async () => ({ options: defineOptions({}), run: async () => { throw new Error("boom"); } })`;
      const plugins = [writePlugin(folder, "bad-search", "kv-pruner", search)];
      const other = await createEngine({ model: modelFolder, plugins, decode: { kvPruner: "bad-search" } });
      await expect(other.tune("bad-search", {}, prompts)).rejects.toMatchObject({
        code: "ERR_PLUGIN_FAILED",
        plugin: "bad-search",
        message: expect.stringContaining("boom"),
      });
      await other.close();
    }));
});
