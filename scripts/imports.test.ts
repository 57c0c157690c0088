import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What each package may import of the others; a plugin may import core only. Tests may import testkit and any kernels besides. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  core: [],
  "kernels-reference": ["core"],
  "kernels-native": ["core"],
  "kernels-onnx": ["core"],
  models: ["core"],
  testkit: ["core", "kernels-reference"],
  runtime: ["core", "models", "kernels-reference", "kernels-native", "kernels-onnx"],
  "create-winnow-plugin": ["core"],
  evaluate: ["core", "models", "runtime", "kernels-native", "kernels-onnx", "kernels-reference"],
  cli: [
    "core",
    "models",
    "runtime",
    "evaluate",
    "kernels-native",
    "kernels-onnx",
    "kernels-reference",
    "testkit",
    "create-winnow-plugin",
  ],
};
const testOnly = ["testkit", "kernels-reference", "models"];

interface SourceFile {
  readonly path: string;
  readonly isTest: boolean;
  readonly imports: readonly string[];
}

function sourceFiles(folder: string): SourceFile[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sourceFiles(path);
    if (!entry.name.endsWith(".ts")) return [];
    const text = readFileSync(path, "utf8");
    const imports = [...text.matchAll(/(?:from|import\()\s*"([^"]+)"/g)].map((match) => match[1]);
    return [{ path, isTest: /\.(test|bench)\.ts$/.test(entry.name) || dirname(path).endsWith("testing"), imports }];
  });
}

/** `core` for `@winnow/core`, undefined for anything that is not ours. */
function ownPackage(specifier: string): string | undefined {
  return specifier.match(/^@winnow\/([^/]+)/)?.[1];
}

function violations(folder: string, may: readonly string[]): string[] {
  return sourceFiles(join(root, folder, "src")).flatMap(({ path, isTest, imports }) => {
    const permitted = isTest ? [...may, ...testOnly, basename(folder)] : may;
    const wrong = imports.filter((specifier) => {
      const own = ownPackage(specifier);
      const leaves =
        specifier.startsWith(".") && relative(join(root, folder), join(dirname(path), specifier)).startsWith("..");
      return leaves || (own !== undefined && !permitted.includes(own));
    });
    return wrong.map((specifier) => `${relative(root, path)} imports ${specifier}`);
  });
}

test.each(Object.keys(allowed))("package %s imports only packages below it", (name) => {
  expect(violations(`packages/${name}`, allowed[name])).toEqual([]);
});

test("every package is in the table of allowed imports", () => {
  expect(readdirSync(join(root, "packages")).sort()).toEqual(Object.keys(allowed).sort());
});

const plugins = readdirSync(join(root, "plugins"));

test.each(plugins)("plugin %s imports @winnow/core only", (name) => {
  expect(violations(`plugins/${name}`, ["core"])).toEqual([]);
});

test("no package names a plugin in its code", () => {
  const named = Object.keys(allowed).flatMap((name) =>
    sourceFiles(join(root, "packages", name, "src")).flatMap(({ path, imports }) =>
      imports
        .filter((specifier) => specifier.startsWith("@winnow/plugin-") || specifier.includes("plugins/"))
        .map((specifier) => `${path} imports ${specifier}`),
    ),
  );
  expect(named).toEqual([]);
});

test.each(plugins)("plugin %s has one name: folder, package, manifest, YAML and README title", (id) => {
  const manifest = JSON.parse(readFileSync(join(root, "plugins", id, "package.json"), "utf8"));
  expect(manifest.name).toBe(`@winnow/plugin-${id}`);
  expect(manifest.winnow.plugins.map((plugin: { id: string }) => plugin.id)).toEqual([id]);
  expect(readFileSync(join(root, "plugins", id, "README.md"), "utf8").split("\n")[0]).toBe(`# ${id}`);
  expect(readFileSync(join(root, "configs", `${id}.yaml`), "utf8")).toContain(id);
});
