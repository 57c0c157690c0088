import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { pluginModule, tempFolder } from "../testing/temp-packages.js";
import { checkPlugins } from "./check-plugin.js";

const masker = "() => ({ plan() {} })";

/** Checks a module against a manifest that declares a masker "tried". */
async function check(source: string, { id = "tried", kind = "masker" as const, summary = "Test plugin." } = {}) {
  const folder = tempFolder({ "index.js": source });
  const url = pathToFileURL(join(folder, "index.js")).href;
  const declared = { id, kind, summary, package: "p", version: "1.0.0", contract: 1, folder, url };
  return checkPlugins([declared], true);
}

const problemsOf = async (...given: Parameters<typeof check>) =>
  (await check(...given)).flatMap(({ problems }) => problems);

describe("checkPlugins", () => {
  test("checkPlugins finds nothing wrong with a plugin that keeps the contract", async () => {
    expect(await check(pluginModule("tried", { create: masker }))).toEqual([{ id: "tried", problems: [], notes: [] }]);
  });

  test("checkPlugins lists everything that is wrong at once", async () => {
    const source = `import { z } from "zod"; export default {
      id: "tried", kind: "kv-pruner", summary: "Another.", source: {},
      options: z.object({ width: z.int().default(1), depth: z.int().default(2) }), create: () => ({}), tune: 1 };`;
    const zod = pluginModule("x").split("\n")[0];
    expect(await problemsOf(source.replace('import { z } from "zod";', zod))).toEqual([
      'kind: package.json says "masker", the module "kv-pruner"',
      'summary: package.json says "Test plugin.", the module "Another."',
      "source must have a title",
      "tune must be a function or absent",
      'option "width" has no description',
      'option "depth" has no description',
      "create must return a kv-pruner with a method createState",
    ]);
  });

  test.each([
    ["throws on import", "throw new Error('boom')", /Cannot load the plugin module .*boom/],
    ["exports nothing", "export {}", /has no default export/],
    [
      "exports another plugin",
      pluginModule("other", { create: masker }),
      /exports "other": "tried" must be there once/,
    ],
    ["exports null", "export default null", /"tried" must be there once/],
    ["throws in create", pluginModule("tried", { create: "() => { throw new Error('boom'); }" }), /defaults: boom/],
    [
      "makes no masker",
      pluginModule("tried", { create: "() => ({ score() {} })" }),
      /must return a masker with a method plan/,
    ],
    ["has no create", pluginModule("tried", { create: "1" }), /create must be a function/],
    ["has no options", 'export default { id: "tried", kind: "masker" }', /options must be a zod object schema/],
  ])("checkPlugins reports a module that %s", async (_, source, message) => {
    expect(await problemsOf(source)).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
  });

  test("checkPlugins reports a module that does not exist", async () => {
    const url = pathToFileURL(join(tempFolder(), "index.js")).href;
    const declared = {
      id: "tried",
      kind: "masker",
      summary: "S.",
      package: "p",
      version: "1.0.0",
      folder: "/",
      url,
    } as const;
    const [{ problems }] = await checkPlugins([declared], true);
    expect(problems).toEqual([expect.stringContaining("does not exist; build the package")]);
  });

  test("checkPlugins reports what a package exports without declaring it", async () => {
    const hidden = pluginModule("hidden", { create: masker }).replace("export default", "const hidden =");
    const both = `${hidden}\nexport default [hidden, { ...hidden, id: "tried" }];`;
    expect(await check(both)).toEqual([
      { id: "tried", problems: [], notes: [] },
      { id: "hidden", problems: ["package.json does not declare it under winnow.plugins"], notes: [] },
    ]);
  });

  test("checkPlugins says that create was not tried where an option has no default", async () => {
    const source = pluginModule("tried", { create: masker }).replace(".default(8)", "");
    expect(await check(source)).toEqual([
      { id: "tried", problems: [], notes: ["create was not tried: some options have no default"] },
    ]);
  });
});
