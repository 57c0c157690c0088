import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const binary = here("../../bin/winnow.js");
const model = here("../../../../models/winnow-16m-32k");
const core = new URL("../../../core/dist/index.js", import.meta.url).href;

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function tempFolder(files: Readonly<Record<string, string | object>>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "winnow-")));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function winnow(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((done) => {
    const options = { cwd: folder, env: { ...process.env, ...env } };
    const child = execFile(process.execPath, [binary, ...args], options, (_, out, err) =>
      done({ status: child.exitCode ?? -1, out, err }),
    );
  });
}

const packageJson = (name: string, plugins: readonly object[], contract = 1) => ({
  name,
  version: "1.2.3",
  type: "module",
  exports: "./index.js",
  winnow: { contract, plugins },
});

/** A module with one masker; `more` overrides its fields. */
const masker = (id: string, more = "") => `import { definePlugin, defineOptions } from ${JSON.stringify(core)};
export default { id: ${JSON.stringify(id)}, kind: "masker", summary: "For tests.", source: { title: "none" },
  options: defineOptions({}), create: () => ({ plan: () => [{ form: "dense" }] }), ${more} };`;

const declared = (id: string) => ({ id, kind: "masker", summary: "For tests." });

describe("winnow plugins list", () => {
  const folder = () =>
    tempFolder({
      "node_modules/winnow-plugin-bomb/package.json": packageJson("winnow-plugin-bomb", [declared("bomb")]),
      "node_modules/winnow-plugin-bomb/index.js": "throw new Error('this code ran');",
      "node_modules/winnow-plugin-new/package.json": packageJson("winnow-plugin-new", [declared("later")], 99),
    });

  test("lists a plugin whose module throws, because it runs no module", async () => {
    const { status, out } = await winnow(folder(), ["plugins", "list", "--json"]);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toContainEqual(
      expect.objectContaining({
        id: "bomb",
        kind: "masker",
        package: "winnow-plugin-bomb",
        version: "1.2.3",
        contract: 1,
      }),
    );
  });

  test("names a package that cannot be used, with the reason, beside the others", async () => {
    const { status, out, err } = await winnow(folder(), ["plugins", "list"]);
    expect(status).toBe(0);
    expect(out).toContain("bomb");
    expect(out).not.toContain("later");
    expect(err).toContain("contract version 99, this Winnow has version 1. Update Winnow");
  });
});

describe("winnow plugins show", () => {
  test("prints manifest, source, contract version and options as a table and as JSON", async () => {
    const folder = tempFolder({});
    const text = await winnow(folder, ["plugins", "show", "hello-masker"]);
    expect(text.status).toBe(0);
    for (const part of [/^hello-masker$/m, /kind +masker/, /contract +1; this Winnow: 1/, /source +Longformer/])
      expect(text.out).toMatch(part);
    expect(text.out).toMatch(/recentTokens +│ integer \(>= 1\) +│ 1024 +│ tokens +│ w +│ the size is free/);
    const { out } = await winnow(folder, ["plugins", "show", "hello-masker", "--json"]);
    expect(JSON.parse(out)).toMatchObject({
      id: "hello-masker",
      folder: expect.stringMatching(/plugins.hello-masker$/),
      source: { year: 2020 },
      options: [{ name: "recentTokens", type: "integer (>= 1)", default: 1024, unit: "tokens", symbol: "w" }],
    });
  });

  test("tells options that must be given from those that need not", async () => {
    const { out } = await winnow(tempFolder({}), ["plugins", "show", "snapkv"]);
    expect(out).toMatch(/capacity +│ integer \(>= 2\) +│ not set/);
  });

  test("refuses an unknown id", async () => {
    const { status, err } = await winnow(tempFolder({}), ["plugins", "show", "snapvk"]);
    expect(status).toBe(2);
    expect(err).toContain('There is no plugin "snapvk". Did you mean "snapkv"?');
  });
});

describe("winnow plugins check", () => {
  test("ends with 0 for a plugin that keeps the contract: by id, folder and module", async () => {
    const folder = tempFolder({ "p/package.json": packageJson("p", [declared("own")]), "p/index.js": masker("own") });
    for (const reference of ["hello-masker", "./p", "./p/index.js"]) {
      const { status, out } = await winnow(folder, ["plugins", "check", reference]);
      expect([status, out]).toEqual([0, expect.stringMatching(/^(hello-masker|own): nothing wrong\n$/)]);
    }
  });

  test("ends with 1 and lists all that is wrong", async () => {
    const source = masker("own", `kind: "kv-pruner", summary: "Other.", source: {}`);
    const folder = tempFolder({ "p/package.json": packageJson("p", [declared("own")]), "p/index.js": source });
    const { status, out } = await winnow(folder, ["plugins", "check", "./p", "--json"]);
    expect(status).toBe(1);
    expect(JSON.parse(out)).toEqual({
      ok: false,
      plugins: [
        {
          id: "own",
          notes: [],
          problems: [
            'kind: package.json says "masker", the module "kv-pruner"',
            'summary: package.json says "For tests.", the module "Other."',
            "source must have a title",
            "create must return a kv-pruner with a method createState",
          ],
        },
      ],
    });
  });

  test.each([
    ["./missing.js", /Cannot find the plugin ".\/missing.js"/],
    ["./empty", /has no package.json with a "winnow" entry/],
    ["./new", /contract version 99, this Winnow has version 1/],
    ["./bomb.js", /this code ran/],
  ])("ends with 1 and the reason for %s", async (reference, reason) => {
    const folder = tempFolder({
      "empty/x": "",
      "new/package.json": packageJson("new", [declared("own")], 99),
      "bomb.js": "throw new Error('this code ran');",
    });
    const { status, out } = await winnow(folder, ["plugins", "check", reference]);
    expect(status).toBe(1);
    expect(out).toMatch(reason);
  });

  test("runs a TypeScript module where Node.js strips types, and says what to do where it does not", async () => {
    const typed = masker("own").replace("create: () =>", "create: (_options: object) =>");
    const { status, out } = await winnow(tempFolder({ "p.ts": typed }), ["plugins", "check", "./p.ts"]);
    if ("typescript" in process.features && process.features.typescript)
      expect([status, out]).toEqual([0, "own: nothing wrong\n"]);
    else {
      expect(status).toBe(1);
      expect(out).toContain(`Node.js ${process.versions.node} does not run TypeScript. Compile it to JavaScript (tsc)`);
    }
  });
});

describe("A configuration that names code outside of its folder", () => {
  const far = tempFolder({ "far.mjs": masker("far") });
  const code = join(far, "far.mjs");
  const folder = tempFolder({ "p.yaml": `model: ${model}\nprefill: { masker: ${code} }\n` });

  test("is refused, with the place and what to do", async () => {
    const { status, err } = await winnow(folder, ["explain", "p.yaml"], { WINNOW_ALLOW_PLUGINS: "" });
    expect(status).toBe(2);
    expect(err).toContain(`allow it with --allow-plugins ${code} or in the environment variable WINNOW_ALLOW_PLUGINS`);
    expect(err).toMatch(/p\.yaml:2:\d+ {2}\[ERR_PLUGIN_NOT_ALLOWED\]/);
  });

  test.each([
    ["--allow-plugins", ["--allow-plugins", far], {}],
    ["WINNOW_ALLOW_PLUGINS", [], { WINNOW_ALLOW_PLUGINS: code }],
  ])("is accepted with %s", async (_, args, env) => {
    const { status, out } = await winnow(folder, ["explain", "p.yaml", ...args], env);
    expect([status, out]).toEqual([0, expect.stringContaining("layers 0-7: far")]);
  });
});
