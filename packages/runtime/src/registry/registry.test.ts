import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { errorText, manifest, pluginModule, tempFolder } from "../testing/temp-packages.js";
import { PluginRegistry } from "./registry.js";

const emptyFolder = tempFolder();

function registryOf(folder: string, workingFolder = emptyFolder): PluginRegistry {
  return new PluginRegistry({ folder, workingFolder });
}

/** Files of an installed package whose module throws when it runs. */
function bomb(name: string, ids: readonly string[], kind = "masker"): Record<string, string | object> {
  return {
    [`node_modules/${name}/package.json`]: manifest(name, ids, { kind }),
    [`node_modules/${name}/index.js`]: "throw new Error('this code ran');",
  };
}

describe("PluginRegistry", () => {
  test("PluginRegistry finds packages by their names in node_modules of the folder and above, without running their code", () => {
    const root = tempFolder({
      ...bomb("winnow-plugin-near", ["near"]),
      ...bomb("@acme/winnow-plugin-scoped", ["scoped"]),
      ...bomb("@winnow/plugin-own", ["own"]),
      ...bomb("other-package", ["unseen"]),
      ...bomb("@acme/other", ["unseen-too"]),
      "configs/deep/p.yaml": "",
    });
    const registry = registryOf(join(root, "configs/deep"));
    expect(["near", "scoped", "own"].map((id) => registry.find(id)?.version)).toEqual(["1.2.3", "1.2.3", "1.2.3"]);
    expect([registry.find("unseen"), registry.find("unseen-too")]).toEqual([undefined, undefined]);
  });

  test("PluginRegistry searches above the current folder too", () => {
    const working = tempFolder(bomb("winnow-plugin-working", ["working"]));
    expect(registryOf(emptyFolder, working).find("working")?.package).toBe("winnow-plugin-working");
  });

  test("PluginRegistry lists plugins by id", () => {
    const ids = registryOf(tempFolder(bomb("winnow-plugin-many", ["zz", "mm", "aa"])))
      .list()
      .map(({ id }) => id);
    expect(ids).toEqual([...ids].sort());
    expect(ids).toEqual(expect.arrayContaining(["aa", "mm", "zz"]));
  });

  test("PluginRegistry refuses two packages that claim one id, naming both folders", async () => {
    const root = tempFolder({ ...bomb("winnow-plugin-x", ["same"]), ...bomb("winnow-plugin-y", ["same"]) });
    const text = await errorText(() => registryOf(root));
    expect(text).toContain('Two plugins are called "same"');
    expect(text).toContain(join(root, "node_modules/winnow-plugin-x"));
    expect(text).toContain(join(root, "node_modules/winnow-plugin-y"));
    expect(text).toContain("[ERR_PLUGIN_DUPLICATE]");
  });

  test("PluginRegistry refuses a package that lists one id twice", async () => {
    const root = tempFolder(bomb("winnow-plugin-twice", ["same", "same"]));
    expect(await errorText(() => registryOf(root))).toContain("[ERR_PLUGIN_DUPLICATE]");
  });

  test.each(["dense", "none", "auto", "native"])("PluginRegistry refuses a plugin called %s", async (id) => {
    const text = await errorText(() => registryOf(tempFolder(bomb("winnow-plugin-r", [id]))));
    expect(text).toContain(`No plugin can be called "${id}"`);
  });
});

describe("PluginRegistry and a package that cannot be used", () => {
  const files = {
    ...bomb("winnow-plugin-good", ["good"]),
    "node_modules/winnow-plugin-new/package.json": manifest("winnow-plugin-new", ["from-tomorrow"], { contract: 99 }),
  };

  test("PluginRegistry lists the others, and says which package it is and why", () => {
    const root = tempFolder(files);
    const registry = registryOf(root);
    expect(registry.find("good")?.id).toBe("good");
    expect(registry.broken()).toEqual([
      {
        folder: join(root, "node_modules/winnow-plugin-new"),
        error: expect.objectContaining({ code: "ERR_PLUGIN_INVALID" }),
      },
    ]);
  });

  test("PluginRegistry gives the reason to who asks for a plugin that is not there", async () => {
    const registry = registryOf(tempFolder(files));
    const text = await errorText(() => registry.resolve("from-tomorrow", ["masker"]));
    expect(text).toContain('There is no plugin "from-tomorrow".');
    expect(text).toContain("it was made for contract version 99, this Winnow has version 1");
  });

  test("PluginRegistry refuses it where the configuration lists it", async () => {
    const registry = registryOf(tempFolder(files));
    expect(await errorText(() => registry.allow("winnow-plugin-new"))).toContain("[ERR_PLUGIN_INVALID]");
  });
});

describe("PluginRegistry.allow", () => {
  test("allow adds a package of any name, a package folder and a module", async () => {
    const folder = tempFolder({
      ...bomb("odd-name", ["by-name"]),
      "near/package.json": manifest("near", ["by-folder"]),
      "near/index.js": "throw new Error('this code ran');",
      "one.js": pluginModule("by-module"),
    });
    const registry = registryOf(folder);
    for (const reference of ["odd-name", "./near", "./one.js", join(folder, "one.js")]) await registry.allow(reference);
    expect(["by-name", "by-folder", "by-module"].map((id) => registry.find(id)?.kind)).toEqual(Array(3).fill("masker"));
  });

  test("allow adds every plugin that a module lists", async () => {
    const list = `import a from "./a.js"; import b from "./b.js"; export default [a, b];`;
    const folder = tempFolder({ "a.js": pluginModule("list-a"), "b.js": pluginModule("list-b"), "list.js": list });
    const registry = registryOf(folder);
    await registry.allow("./list.js");
    expect((await registry.load("list-b")).id).toBe("list-b");
  });

  test("allow keeps the manifest of a package whose module is named by its path as well", async () => {
    const folder = tempFolder({
      "node_modules/winnow-plugin-both/package.json": manifest("winnow-plugin-both", ["both"]),
      "node_modules/winnow-plugin-both/index.js": pluginModule("both"),
    });
    const registry = registryOf(folder);
    await registry.allow("./node_modules/winnow-plugin-both/index.js");
    expect(registry.find("both")?.package).toBe("winnow-plugin-both");
  });

  test("allow takes modules with the endings .js and .mjs", async () => {
    const folder = tempFolder({ "a.mjs": pluginModule("ending-mjs"), "b.js": pluginModule("ending-js") });
    const registry = registryOf(folder);
    for (const path of ["./a.mjs", "./b.js"]) await registry.allow(path);
    expect([registry.isAllowed("ending-mjs"), registry.isAllowed("ending-js")]).toEqual([true, true]);
  });

  test("allow marks what the configuration asked for, by id, package name or path, and nothing else", async () => {
    const folder = tempFolder({
      ...bomb("winnow-plugin-two", ["two-a", "two-b"]),
      ...bomb("winnow-plugin-three", ["three-a", "three-b"]),
    });
    const registry = registryOf(folder);
    await registry.allow("two-a");
    await registry.allow("winnow-plugin-three");
    expect(["two-a", "two-b", "three-a", "three-b"].map((id) => registry.isAllowed(id))).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });

  test.each([
    ["./missing.js", "Correct the path."],
    ["missing-package", "Install the package, or give a path that starts with ./."],
  ])("allow refuses %s, which is not there", async (reference, advice) => {
    const text = await errorText(() => registryOf(emptyFolder).allow(reference));
    expect(text).toContain(`Cannot find the plugin "${reference}". ${advice}`);
    expect(text).toContain("[ERR_PLUGIN_UNKNOWN]");
  });

  test("allow refuses a folder that declares no plugin", async () => {
    const folder = tempFolder({ "empty/package.json": { name: "empty" } });
    expect(await errorText(() => registryOf(folder).allow("./empty"))).toContain("declares no plugin");
  });

  test.each([
    ["throws on import", "throw new Error('boom at import');", "boom at import"],
    ["throws no error object", "throw 'just text';", "just text"],
    ["is no JavaScript", "export default {", "Cannot load the plugin module"],
    ["has no default export", "export const plugin = 1;", "it must default-export what definePlugin returns"],
    ["exports an empty list", "export default [];", "it must default-export what definePlugin returns"],
    ["exports null", "export default null;", "it must default-export what definePlugin returns"],
    ["exports no options", "export default { id: 'a', kind: 'masker', create() {} };", "it must default-export"],
    ["has an unknown kind", pluginModule("odd", { kind: "mask" }), "kind must be one of masker"],
    ["has an id that is not kebab-case", pluginModule("Odd"), "id must be kebab-case"],
    ["has no create function", pluginModule("odd", { create: "1" }), "create must be a function"],
  ])("allow refuses a module that %s, naming its path", async (_, source, expected) => {
    const folder = tempFolder({ "p.js": source });
    const text = await errorText(() => registryOf(folder).allow("./p.js"));
    expect(text).toContain(expected);
    expect(text).toContain(join(folder, "p.js"));
    expect(text).toContain("[ERR_PLUGIN_INVALID]");
  });

  test("allow refuses a module that claims an installed id, and one that exports an id twice", async () => {
    const folder = tempFolder({
      ...bomb("winnow-plugin-first", ["taken"]),
      "second.js": pluginModule("taken"),
      "twice.js": `import p from "./third.js"; export default [p, p];`,
      "third.js": pluginModule("third"),
    });
    const registry = registryOf(folder);
    expect(await errorText(() => registry.allow("./second.js"))).toContain("[ERR_PLUGIN_DUPLICATE]");
    expect(await errorText(() => registry.allow("./twice.js"))).toContain("[ERR_PLUGIN_DUPLICATE]");
  });
});

describe("PluginRegistry.resolve", () => {
  const files = {
    ...bomb("winnow-plugin-mixed", ["mixed-masker"]),
    "one.js": pluginModule("res-one"),
    "other/one.js": pluginModule("res-other"),
  };

  test("resolve takes an id, a package name and a path, which needs no entry under plugins", async () => {
    const registry = registryOf(tempFolder(files));
    const idOf = async (reference: string) => (await registry.resolve(reference, ["masker"])).id;
    expect(await idOf("mixed-masker")).toBe("mixed-masker");
    expect(await idOf("winnow-plugin-mixed")).toBe("mixed-masker");
    expect(await idOf("./one.js")).toBe("res-one");
    expect(await idOf("./other/one.js")).toBe("res-other");
  });

  test("resolve chooses by kind among the plugins of a package, and refuses to choose between two of one kind", async () => {
    const plugins = [
      { id: "pick-m", kind: "masker", summary: "M." },
      { id: "pick-p", kind: "kv-pruner", summary: "P." },
      { id: "pick-s", kind: "evict-scorer", summary: "S." },
    ];
    const folder = tempFolder({
      "node_modules/winnow-plugin-pick/package.json": { name: "winnow-plugin-pick", winnow: { contract: 1, plugins } },
    });
    const registry = registryOf(folder);
    expect((await registry.resolve("winnow-plugin-pick", ["masker"])).id).toBe("pick-m");
    expect(await errorText(() => registry.resolve("winnow-plugin-pick", ["kv-pruner", "evict-scorer"]))).toContain(
      '"winnow-plugin-pick" holds several plugins: pick-p, pick-s. Name one by its id.',
    );
  });

  test("resolve returns a plugin of another kind, by id, package name or path, so that the caller can say which kind it is", async () => {
    const registry = registryOf(tempFolder(files));
    for (const reference of ["mixed-masker", "winnow-plugin-mixed", "./one.js"])
      expect((await registry.resolve(reference, ["kv-pruner"])).kind).toBe("masker");
  });

  test("resolve refuses an unknown id and suggests the nearest of the fitting kind", async () => {
    const registry = registryOf(tempFolder(files));
    const text = await errorText(() => registry.resolve("mixed-maskr", ["masker"]));
    expect(text).toContain('There is no plugin "mixed-maskr". Did you mean "mixed-masker"?');
    expect(text).toContain("[ERR_PLUGIN_UNKNOWN]");
  });
});

describe("PluginRegistry.load", () => {
  test("load imports a module once", async () => {
    const folder = tempFolder({
      "node_modules/winnow-plugin-l/package.json": manifest("winnow-plugin-l", ["loadable"]),
      "node_modules/winnow-plugin-l/index.js": pluginModule("loadable"),
    });
    const registry = registryOf(folder);
    expect(registry.load("loadable")).toBe(registry.load("loadable"));
    expect((await registry.load("loadable")).kind).toBe("masker");
  });

  test.each([
    ["another kind", pluginModule("liar", { kind: "kv-pruner" }), 'its module exports kind "kv-pruner"'],
    ["another plugin", pluginModule("someone-else"), "its module exports no such plugin"],
  ])("load refuses a module that exports %s than the manifest says", async (_, source, expected) => {
    const folder = tempFolder({
      "node_modules/winnow-plugin-liar/package.json": manifest("winnow-plugin-liar", ["liar"]),
      "node_modules/winnow-plugin-liar/index.js": source,
    });
    const text = await errorText(() => registryOf(folder).load("liar"));
    expect(text).toContain('Package "winnow-plugin-liar" declares plugin "liar" of kind "masker"');
    expect(text).toContain(expected);
    expect(text).toContain("[ERR_PLUGIN_INVALID]");
  });

  test("load refuses an unknown id", async () => {
    expect(await errorText(() => registryOf(emptyFolder).load("nowhere"))).toContain('There is no plugin "nowhere".');
  });
});
