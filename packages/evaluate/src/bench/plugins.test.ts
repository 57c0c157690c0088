import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { WinnowError } from "@winnow/core";
import { benchPlugins, type PluginsBench, type PluginsBenchOptions } from "@winnow/evaluate/bench";
import type { InstalledPlugin } from "@winnow/runtime";
import { afterAll, describe, expect, test } from "vitest";

const model = fileURLToPath(new URL("../../../../models/winnow-16m-32k", import.meta.url));
const core = new URL("../../../core/dist/index.js", import.meta.url).href;
const zod = import.meta.resolve("zod");
const folder = mkdtempSync(join(tmpdir(), "winnow-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A masker in a module of its own. `before` runs when the module loads, `more` overrides fields of the definition. */
function plugin(id: string, { before = "", shape = "", more = "" } = {}): InstalledPlugin {
  const file = join(folder, `${id}.mjs`);
  writeFileSync(
    file,
    `import { defineOptions, option } from ${JSON.stringify(core)};
import { z } from ${JSON.stringify(zod)};
${before}
export default { id: ${JSON.stringify(id)}, kind: "masker", summary: "For tests.", source: { title: "none" },
  options: defineOptions({ ${shape} }), create: () => ({ plan: () => [] }), ${more} };`,
  );
  const url = pathToFileURL(file).href;
  return { id, kind: "masker", summary: "For tests.", package: id, version: "1.0.0", folder, url };
}

function bench(plugins: readonly InstalledPlugin[], more: Partial<PluginsBenchOptions> = {}): Promise<PluginsBench> {
  const winnow = [process.execPath, "-e", "0"];
  return benchPlugins({ plugins, model, winnow, repeat: 1, warmUp: 0, ...more });
}

const failure = async (plugins: readonly InstalledPlugin[]) => {
  const error = await bench(plugins).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(WinnowError);
  return error as WinnowError;
};

describe("benchPlugins", () => {
  test("benchPlugins loads each plugin once in each worker, and as often as it measures", async () => {
    const once = `if (globalThis.loaded) throw new Error("loaded before");\nglobalThis.loaded = true;`;
    const { rows, process } = await bench([plugin("a", { before: once }), plugin("b", { before: once })], {
      repeat: 2,
      warmUp: 1,
    });
    expect(rows.map(({ id, kind, notCreated, loadMs }) => [id, kind, notCreated, loadMs.samples.length])).toEqual([
      ["a", "masker", undefined, 2],
      ["b", "masker", undefined, 2],
    ]);
    expect(rows.every(({ loadMs }) => loadMs.min > 0)).toBe(true);
    const { node, list, listOverNode } = process;
    expect(listOverNode.samples).toEqual(list.samples.map((value, round) => value - node.samples[round]));
  });

  test("benchPlugins makes a plugin with its default options for the shape of the model", async () => {
    const shape = `width: option(z.int().default(7), { description: "Width." })`;
    const create = `create: (options, model) => { throw new Error(JSON.stringify([options, model])); }`;
    const given = '[{"width":7},{"layers":8,"queryHeads":6,"kvHeads":2,"headDim":64,"contextLength":32768}]';
    expect((await failure([plugin("a", { shape, more: create })])).message).toContain(given);
  });

  test.each([
    [
      "an option has no default",
      { shape: `n: option(z.int(), { description: "N." })` },
      "some options have no default",
    ],
    [
      "an option holds another plugin",
      {
        before: `import { pluginOption } from ${JSON.stringify(core)};`,
        shape: `inner: option(pluginOption(["masker"], { description: "Inner." }).default({ plugin: "b", options: {} }), { description: "Inner." })`,
      },
      "its options hold other plugins",
    ],
    [
      "it refuses the model",
      { more: `check: (_, { layers }) => [{ path: [], message: "not for " + layers + " layers" }]` },
      "not for 8 layers",
    ],
  ])("benchPlugins loads a plugin and says why it does not make it where %s", async (_, source, reason) => {
    const [row] = (await bench([plugin("a", { more: "create: () => { throw new Error('created'); }", ...source })]))
      .rows;
    expect(row).toMatchObject({ notCreated: reason, loadMs: { samples: [expect.any(Number)] } });
  });

  test.each([
    ["throws when it loads", { before: "throw new Error('no luck');" }, "no luck"],
    ["throws when it is made", { more: "create: () => { throw new Error('no luck'); }" }, "no luck"],
    ["ends the thread", { before: "process.exit(3);" }, "it ended its worker with status 3."],
    ["waits forever", { before: "await new Promise(() => {});" }, "it ended its worker with status 13."],
    ["has another id than its manifest says", { more: `id: "other"` }, "its module exports no such plugin"],
  ])("benchPlugins names a plugin that %s", async (_, source, detail) => {
    const error = await failure([plugin("fine"), plugin("wrong", source)]);
    expect(error).toMatchObject({ code: "ERR_PLUGIN_FAILED", plugin: "wrong" });
    expect(error.message).toContain('Cannot measure plugin "wrong"');
    expect(error.message).toContain(detail);
  });

  test("benchPlugins stops when it is asked to, whatever a plugin does", async () => {
    const abort = new AbortController();
    const onProgress = (_: number, label: string) => {
      if (label === "endless") setImmediate(() => abort.abort(new Error("enough")));
    };
    const running = bench([plugin("endless", { before: "for (;;);" })], { signal: abort.signal, onProgress });
    await expect(running).rejects.toThrow("enough");
  });
});
