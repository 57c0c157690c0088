import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Diagnostic, YamlLanguageServer } from "./lib/language-server.js";
import { exampleFolder } from "./lib/markdown-examples.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const server = new YamlLanguageServer();
let folder: string;

beforeAll(async () => {
  folder = exampleFolder(root, []);
  installExtraPlugin();
  const command = join(root, "node_modules/.bin/winnow");
  execFileSync(command, ["schema", "--out", "with-extra"], { cwd: folder, stdio: "pipe" });
  await server.start(folder);
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

/** A package as npm would install it; it is none of this repository. */
function installExtraPlugin(): void {
  const place = join(folder, "node_modules/winnow-plugin-extra");
  const plugin = { id: "extra-window", kind: "masker", summary: "A window from elsewhere." };
  mkdirSync(place);
  writeFileSync(
    join(place, "package.json"),
    JSON.stringify({
      name: "winnow-plugin-extra",
      type: "module",
      exports: "./index.js",
      winnow: { contract: 1, plugins: [plugin] },
    }),
  );
  writeFileSync(
    join(place, "index.js"),
    `import { bandMask, defineOptions, definePlugin, option } from "@winnow/core";
import { z } from "zod";
export default definePlugin({
  ...${JSON.stringify(plugin)},
  source: { title: "none" },
  options: defineOptions({
    width: option(z.int().min(1).default(8), { description: "Keys of a row.", unit: "tokens", symbol: "w", source: "Table 7" }),
  }),
  create: ({ width }) => ({ plan: () => [bandMask({ sinkTokens: 0, recentTokens: width })] }),
});`,
  );
}

let files = 0;

/** Opens a pipeline; `|` marks the place that the calls after it ask about. */
async function edit(marked: string, schema = "schemas") {
  const text = `# yaml-language-server: $schema=${schema}/pipeline.schema.json\n${marked.replace("|", "")}`;
  const before = marked.slice(0, Math.max(0, marked.indexOf("|"))).split("\n");
  const position = { line: before.length, character: before.at(-1)!.length };
  const file = join(folder, `pipeline-${++files}.yaml`);
  const diagnostics = await server.open(file, text);
  return {
    diagnostics,
    complete: () => server.complete(file, position),
    hover: () => server.hover(file, position),
  };
}

/** `line:column message`, counted from 1 as editors show them. */
const shown = (found: readonly Diagnostic[]) =>
  found.map(({ message, range }) => `${range.start.line + 1}:${range.start.character + 1} ${message}`);

describe("completion in an editor", () => {
  test("completion offers the installed maskers with their summaries, and dense", async () => {
    const { complete } = await edit("model: m\nprefill:\n  masker: |\n");
    const offered = await complete();
    expect([...offered.keys()]).toEqual(expect.arrayContaining(["dense", "a-shape", "minference"]));
    expect(offered.get("a-shape")).toContain("Attention sinks and a local window.");
    expect([...offered.keys()]).not.toContain("snapkv");
  });

  test("completion offers KV pruners to decoding and sparsifiers to weights", async () => {
    const pruners = await (await edit("model: m\ndecode:\n  kvPruner: |\n")).complete();
    expect([...pruners.keys()]).toEqual(expect.arrayContaining(["none", "snapkv", "tidal-decode"]));
    const sparsifiers = await (await edit("model: m\nweights:\n  - sparsifier: |\n")).complete();
    expect([...sparsifiers.keys()]).toEqual(expect.arrayContaining(["wanda", "sparsegpt"]));
  });

  test("completion offers the options of the plugin that stands beside them, and none of others", async () => {
    const { complete } = await edit("model: m\nprefill:\n  masker: a-shape\n  options:\n    |\n");
    const offered = [...(await complete()).keys()];
    expect(offered).toEqual(expect.arrayContaining(["recentTokens", "sinkTokens"]));
    for (const other of ["slashSize", "budget", "masker"]) expect(offered).not.toContain(other);
  });

  test("completion offers the keys of a pipeline", async () => {
    const { complete } = await edit("model: m\n|\n");
    expect([...(await complete()).keys()]).toEqual(expect.arrayContaining(["prefill", "decode", "weights", "steps"]));
  });
});

describe("hovering in an editor", () => {
  test("hovering over an option shows description, unit, symbol and source", async () => {
    const { hover } = await edit(
      "model: m\nprefill:\n  masker: extra-window\n  options:\n    wid|th: 4\n",
      "with-extra",
    );
    const text = (await hover()).replaceAll("\\", "");
    for (const part of ["Keys of a row.", "Unit: tokens.", "Symbol in the paper: w.", "Source: Table 7."])
      expect(text).toContain(part);
  });

  test("hovering over a key of the pipeline says what it is for", async () => {
    const { hover } = await edit("model: m\nprec|ision: bf16\n");
    expect(await hover()).toContain("Arithmetic of projections and attention");
  });
});

describe("diagnostics in an editor", () => {
  test("diagnostics are empty for a correct pipeline", async () => {
    const { diagnostics } = await edit("model: m\nprefill:\n  masker: a-shape\n  options: { recentTokens: 4 }\n");
    expect(diagnostics).toEqual([]);
  });

  test("diagnostics point at an unknown key", async () => {
    const { diagnostics } = await edit("model: m\nprefil: {}\n");
    expect(shown(diagnostics)).toEqual(["3:1 Property prefil is not allowed."]);
  });

  test("diagnostics point at an option that the plugin does not have", async () => {
    const { diagnostics } = await edit("model: m\nprefill:\n  masker: a-shape\n  options:\n    recent: 4\n");
    expect(shown(diagnostics)).toEqual(["6:5 Property recent is not allowed."]);
  });

  test("diagnostics point at a wrong type and a value out of range", async () => {
    const wrong = await edit('model: m\nprefill:\n  masker: a-shape\n  options:\n    recentTokens: "many"\n');
    expect(shown(wrong.diagnostics)).toEqual(['6:19 Incorrect type. Expected "integer".']);
    const low = await edit("model: m\nprefill:\n  masker: a-shape\n  options:\n    recentTokens: 0\n");
    expect(shown(low.diagnostics)).toEqual(["6:19 Value is below the minimum of 1."]);
  });

  test("diagnostics say that the model is missing", async () => {
    const { diagnostics } = await edit("precision: f32\n");
    expect(shown(diagnostics).join()).toContain('Missing property "model"');
  });
});

describe("winnow schema with a plugin that was installed since", () => {
  const wide = "model: m\nprefill:\n  masker: extra-window\n  options:\n    width: 0\n";

  test("winnow schema adds its id to completion", async () => {
    const before = await (await edit("model: m\nprefill:\n  masker: |\n")).complete();
    const after = await (await edit("model: m\nprefill:\n  masker: |\n", "with-extra")).complete();
    expect(before.has("extra-window")).toBe(false);
    expect(after.get("extra-window")).toContain("A window from elsewhere.");
  });

  test("winnow schema adds its options to diagnostics", async () => {
    expect(shown((await edit(wide)).diagnostics)).toEqual([]);
    expect(shown((await edit(wide, "with-extra")).diagnostics)).toEqual(["6:12 Value is below the minimum of 1."]);
  });
});
