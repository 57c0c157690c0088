import { createEngine, type Engine, type PipelineInput } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { modelFolder, someIds, withEngine, withFolder, writePlugin } from "../../test-support/engines.js";

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

  const bad: [what: string, run: string, limits: PipelineInput["limits"], code: string, message: RegExp][] = [
    ["throws", `throw new Error("boom");`, {}, "ERR_PLUGIN_FAILED", /"bad-search" failed in tune: boom/],
    [
      "loops for ever",
      "for (;;);",
      { tuneSeconds: 1, pluginCallSeconds: 0 },
      "ERR_PLUGIN_FAILED",
      /"bad-search" failed in tune: it ran for more than 1 seconds.*limits\.tuneSeconds/,
    ],
    [
      "asks for one dense run after another",
      "for (;;) await context.prefill(context.prompts[0], () => {});",
      { tuneSeconds: 1, pluginCallSeconds: 0 },
      "ERR_PLUGIN_FAILED",
      /"bad-search" failed in tune: it ran for more than 1 seconds/,
    ],
    ["returns no result", "return 7;", {}, "ERR_PLUGIN_RESULT", /must return \{ options, files, report \}/],
    [
      "returns a function",
      "return { options: { f() {} }, files: [], report: [] };",
      {},
      "ERR_PLUGIN_FAILED",
      /failed in tune: .*could not be cloned/,
    ],
  ];
  test.each(bad)("blames a search that %s, and the engine goes on", (_, run, limits, code, message) =>
    withFolder(async (folder) => {
      const search = `() => ({ createState: () => ({}) }),
        tune: async () => ({ options: defineOptions({}), run: async (context) => { ${run} } })`;
      const plugins = [writePlugin(folder, "bad-search", "kv-pruner", search)];
      await withEngine({ plugins, decode: { kvPruner: "bad-search" }, limits }, async (other) => {
        await expect(other.tune("bad-search", {}, prompts)).rejects.toMatchObject({
          code,
          plugin: "bad-search",
          message: expect.stringMatching(message),
        });
        expect((await other.encode("a")).length).toBeGreaterThan(0);
      });
    }),
  );

  test("a search may take longer than a call of a plugin", () =>
    withFolder(async (folder) => {
      const run =
        "const end = Date.now() + 1500; while (Date.now() < end); return { options: {}, files: [], report: [] };";
      const search = `() => ({ createState: () => ({}) }),
        tune: async () => ({ options: defineOptions({}), run: async () => { ${run} } })`;
      const plugins = [writePlugin(folder, "slow-search", "kv-pruner", search)];
      const limits = { pluginCallSeconds: 1 };
      await withEngine({ plugins, decode: { kvPruner: "slow-search" }, limits }, async (other) => {
        expect(await other.tune("slow-search", {}, prompts)).toEqual({ options: {}, files: [], report: [] });
      });
    }));
});
