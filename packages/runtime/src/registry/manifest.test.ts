import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { errorText, manifest, tempFolder } from "../testing/temp-packages.js";
import { readManifest } from "./manifest.js";

const urlIn = (folder: string, file: string) => pathToFileURL(join(folder, file)).href;

describe("readManifest", () => {
  test("readManifest reads id, kind, summary and module of each plugin without loading code", () => {
    const folder = tempFolder({ "package.json": manifest("winnow-plugin-a", ["a-one", "a-two"]) });
    expect(readManifest(folder)).toEqual(
      ["a-one", "a-two"].map((id) => ({
        id,
        kind: "masker",
        summary: `Test plugin ${id}.`,
        package: "winnow-plugin-a",
        version: "1.2.3",
        contract: 1,
        folder,
        url: urlIn(folder, "index.js"),
      })),
    );
  });

  test.each([
    ["a string", { exports: "./x.js" }, "x.js"],
    ["conditions", { exports: { types: "./x.d.ts", import: "./x.mjs" } }, "x.mjs"],
    ["the entry . of several", { exports: { ".": { node: "./n.js", default: "./d.js" }, "./b": "./b.js" } }, "n.js"],
    ["nested conditions", { exports: { node: { require: "./r.cjs" }, default: "./d.js" } }, "d.js"],
    ["none, but main", { exports: undefined, main: "lib/m.js" }, "lib/m.js"],
    ["none and no main", { exports: undefined }, "index.js"],
  ])("readManifest finds the module as import does: exports is %s", (_, fields, entry) => {
    const folder = tempFolder({ "package.json": { ...manifest("p", ["a"]), ...fields } });
    expect(readManifest(folder)[0].url).toBe(urlIn(folder, entry));
  });

  test("readManifest prefers a plugin's own module over the package's entry", () => {
    const plugins = [{ id: "a", kind: "masker", summary: "A.", module: "./own.js" }];
    const folder = tempFolder({ "package.json": { ...manifest("p", ["a"]), winnow: { contract: 1, plugins } } });
    expect(readManifest(folder)[0].url).toBe(urlIn(folder, "own.js"));
  });

  test("readManifest returns nothing for a folder without package.json and for a package without winnow entry", () => {
    expect(readManifest(tempFolder())).toEqual([]);
    expect(readManifest(tempFolder({ "package.json": { name: "p" } }))).toEqual([]);
    expect(readManifest(tempFolder({ "package.json": "null" }))).toEqual([]);
  });

  test("readManifest refuses a package.json that is no JSON, naming the file", async () => {
    const folder = tempFolder({ "package.json": "{ name: }" });
    const text = await errorText(() => readManifest(folder));
    expect(text).toContain(`Cannot read "${join(folder, "package.json")}"`);
    expect(text).toContain("[ERR_PLUGIN_INVALID]");
  });

  test.each([
    ["a newer", 99, "Update Winnow, or install an older version of winnow-plugin-p."],
    ["an older", 0, "Install a newer version of winnow-plugin-p."],
  ])("readManifest refuses %s contract version, naming both and what to do", async (_, contract, advice) => {
    const folder = tempFolder({ "package.json": manifest("winnow-plugin-p", ["a"], { contract }) });
    const text = await errorText(() => readManifest(folder));
    expect(text).toContain(`it was made for contract version ${contract}, this Winnow has version 1. ${advice}`);
    expect(text).toContain("[ERR_PLUGIN_INVALID]");
  });

  test("readManifest refuses a package that does not say for which contract version it was made", async () => {
    const { contract: _, ...winnow } = (manifest("p", ["a"]) as { winnow: Record<string, unknown> }).winnow;
    const text = await errorText(() => readManifest(tempFolder({ "package.json": { name: "p", winnow } })));
    expect(text).toContain("winnow.contract");
  });

  test.each([
    ["an unknown kind", { id: "a", kind: "mask", summary: "A." }, "winnow.plugins.0.kind"],
    [
      "an id that is not kebab-case",
      { id: "A_b", kind: "masker", summary: "A." },
      "winnow.plugins.0.id: must be kebab-case",
    ],
    ["no summary", { id: "a", kind: "masker" }, "winnow.plugins.0.summary"],
  ])("readManifest refuses %s, naming the entry", async (_, plugin, expected) => {
    const folder = tempFolder({ "package.json": { name: "p", winnow: { contract: 1, plugins: [plugin] } } });
    const text = await errorText(() => readManifest(folder));
    expect(text).toContain(expected);
    expect(text).toContain("[ERR_PLUGIN_INVALID]");
  });

  test("readManifest lists everything that is wrong, with what was given", async () => {
    const plugins = [{ id: "a", kind: "masker", summary: "" }, 5];
    const json = { name: "", version: 1, main: null, winnow: { contract: 1.5, plugins } };
    const text = await errorText(() => readManifest(tempFolder({ "package.json": json })));
    for (const problem of [
      'name: must be text that is not empty, got ""',
      "version: must be text, got 1",
      "main: must be text, got null",
      "winnow.contract: must be a whole number, got 1.5",
      'winnow.plugins.0.summary: must be text that is not empty, got ""',
      "winnow.plugins.1: must be an object, got 5",
    ])
      expect(text).toContain(problem);
  });

  test.each([
    ["null", null, "winnow: must be an object, got null"],
    ["a list", [], "winnow.contract: must be a whole number, got nothing"],
    ["without plugins", { contract: 1 }, "winnow.plugins: must be a list of at least one plugin, got nothing"],
  ])("readManifest refuses a winnow entry that is %s", async (_, winnow, problem) => {
    const folder = tempFolder({ "package.json": { name: "p", winnow } });
    expect(await errorText(() => readManifest(folder))).toContain(problem);
  });

  test("readManifest refuses an empty list of plugins", async () => {
    const folder = tempFolder({ "package.json": { name: "p", winnow: { contract: 1, plugins: [] } } });
    expect(await errorText(() => readManifest(folder))).toContain("winnow.plugins");
  });
});
