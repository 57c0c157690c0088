import { existsSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { errorText, manifest, pluginModule, tempFolder } from "../testing/temp-packages.js";
import { PluginRegistry } from "./registry.js";

/** A module that leaves a mark beside itself when it runs. */
const marking = (id: string) =>
  `import { writeFileSync } from "node:fs"; writeFileSync(new URL("ran", import.meta.url), "");\n${pluginModule(id)}`;

/** A folder with a configuration, another one, which is the current folder, and code that belongs to neither. */
function folders() {
  const config = tempFolder({ "near.js": marking("near"), "deep/inside.js": marking("inside") });
  const working = tempFolder({ "here.js": marking("here") });
  const elsewhere = tempFolder({
    "far.js": marking("far"),
    "package/package.json": manifest("far-package", ["far-package"]),
    "package/index.js": marking("far-package"),
  });
  return { config, working, elsewhere, far: join(elsewhere, "far.js") };
}

const refusal = "a configuration may name code by path in its own folder and in the current folder only";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("A path in a configuration", () => {
  test("runs code of the configuration's folder and of the current folder", async () => {
    const { config, working } = folders();
    const registry = new PluginRegistry({ folder: config, workingFolder: working });
    for (const path of ["./near.js", "./deep/inside.js", join(working, "here.js")]) await registry.allow(path);
    expect(["near", "inside", "here"].map((id) => registry.isAllowed(id))).toEqual([true, true, true]);
  });

  test.each(["far.js", "package"])("does not run code elsewhere: %s", async (name) => {
    const { config, working, elsewhere } = folders();
    const registry = new PluginRegistry({ folder: config, workingFolder: working });
    for (const use of ["allow", "resolve"] as const) {
      const text = await errorText(() => registry[use](join(elsewhere, name), ["masker"]));
      expect(text).toContain(`Cannot run the plugin code in "${join(elsewhere, name)}"`);
      expect(text).toContain(refusal);
      expect(text).toContain(`allow it with --allow-plugins ${join(elsewhere, name)}`);
      expect(text).toContain("WINNOW_ALLOW_PLUGINS");
      expect(text).toContain("[ERR_PLUGIN_NOT_ALLOWED]");
    }
    expect(existsSync(join(elsewhere, "ran"))).toBe(false);
  });

  test("does not run code elsewhere through .., or in a folder whose name begins alike", async () => {
    const root = tempFolder({ "a/p.yaml": "", "a-beside/p.js": marking("p"), "q.js": marking("q") });
    const registry = new PluginRegistry({ folder: join(root, "a"), workingFolder: tempFolder() });
    for (const path of ["../q.js", "./../a/../q.js", "../a-beside/p.js"])
      expect(await errorText(() => registry.allow(path))).toContain("[ERR_PLUGIN_NOT_ALLOWED]");
    expect(existsSync(join(root, "ran"))).toBe(false);
  });

  test("does not run code elsewhere through a link", async () => {
    const { config, working, far, elsewhere } = folders();
    symlinkSync(far, join(config, "link.js"));
    symlinkSync(elsewhere, join(config, "linked"));
    const registry = new PluginRegistry({ folder: config, workingFolder: working });
    for (const path of ["./link.js", "./linked/far.js", "./linked/package"])
      expect(await errorText(() => registry.allow(path))).toContain("[ERR_PLUGIN_NOT_ALLOWED]");
    expect(existsSync(join(elsewhere, "ran"))).toBe(false);
  });

  test("does not run code elsewhere through the package.json of an allowed folder", async () => {
    const { working, far } = folders();
    const plugins = [{ id: "far", kind: "masker", summary: "Far.", module: join("../../../../../..", far) }];
    const config = tempFolder({ "p/package.json": { name: "p", version: "1.0.0", winnow: { contract: 1, plugins } } });
    const registry = new PluginRegistry({ folder: config, workingFolder: working });
    expect(await errorText(() => registry.allow("./p"))).toContain("[ERR_PLUGIN_NOT_ALLOWED]");
    expect(registry.find("far")).toBeUndefined();
  });

  test("cannot be disguised as the name of a package", async () => {
    const root = tempFolder({ "a/node_modules/x/package.json": { name: "x" }, "p.js": marking("p") });
    const registry = new PluginRegistry({ folder: join(root, "a"), workingFolder: tempFolder() });
    for (const name of ["x/../../../p.js", "@x/../../../p.js", "x/./index.js"])
      expect(await errorText(() => registry.allow(name))).toContain(`Cannot find the plugin "${name}"`);
    expect(existsSync(join(root, "ran"))).toBe(false);
  });

  test("runs code that the user allowed: the file, its folder, a link to it", async () => {
    const { config, working, far, elsewhere } = folders();
    symlinkSync(elsewhere, join(working, "trusted"));
    for (const allowed of [far, elsewhere, join(working, "trusted")]) {
      const registry = new PluginRegistry({ folder: config, workingFolder: working, allowPlugins: [allowed] });
      await registry.allow(far);
      expect(registry.find("far")?.kind).toBe("masker");
    }
  });

  test("runs code that WINNOW_ALLOW_PLUGINS lists", async () => {
    const { config, working, far, elsewhere } = folders();
    vi.stubEnv("WINNOW_ALLOW_PLUGINS", ["/nowhere", "", elsewhere].join(delimiter));
    await new PluginRegistry({ folder: config, workingFolder: working }).allow(far);
    vi.stubEnv("WINNOW_ALLOW_PLUGINS", "");
    const registry = new PluginRegistry({ folder: config, workingFolder: working });
    expect(await errorText(() => registry.allow(far))).toContain("[ERR_PLUGIN_NOT_ALLOWED]");
  });

  test("may lead anywhere where a program wrote the configuration", async () => {
    const { config, working, far } = folders();
    await new PluginRegistry({ folder: config, workingFolder: working, anyPath: true }).allow(far);
  });
});
