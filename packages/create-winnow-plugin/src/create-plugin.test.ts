import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CONTRACT_VERSION } from "@winnow/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPlugin } from "./create-plugin.js";
import { kindNames, templateKind } from "./kinds.js";

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "create-winnow-plugin-"));
});
afterEach(() => rmSync(place, { recursive: true }));

const textOf = (folder: string, file: string) => readFileSync(join(folder, file), "utf8");

describe("createPlugin", () => {
  it.each(kindNames)("%s: the manifest holds name, kind, contract and what the tests need", (kind) => {
    const { folder } = createPlugin({ name: "@acme/my-own", kind, folder: join(place, "a/b"), author: 'A "B" <c@d>' });
    const manifest = JSON.parse(textOf(folder, "package.json"));
    expect(manifest).toMatchObject({
      name: "@acme/winnow-plugin-my-own",
      author: 'A "B" <c@d>',
      keywords: ["winnow-plugin"],
      winnow: { contract: CONTRACT_VERSION, plugins: [{ id: "my-own", kind: templateKind(kind).contractKind }] },
    });
    expect(Object.keys(manifest.peerDependencies)).toEqual(["@winnow/core", "zod"]);
    expect(Object.keys(manifest.devDependencies)).toEqual(
      expect.arrayContaining(["@winnow/testkit", "@winnow/kernels-reference", "vitest", "typescript"]),
    );
    expect(manifest).not.toHaveProperty("license");
  });

  it.each(kindNames)("%s: every placeholder is filled in", (kind) => {
    const { folder, files } = createPlugin({ name: "my-own", kind, folder: place });
    for (const file of files) expect(textOf(folder, file)).not.toMatch(/__[A-Z]+__/);
  });

  it.each(kindNames)("%s: code, oracle, tests, bench, configuration and README are there", (kind) => {
    const { files } = createPlugin({ name: "my-own", kind, folder: place });
    expect(files).toEqual(
      expect.arrayContaining([
        ".gitignore",
        "README.md",
        "bench/bench.mjs",
        "src/index.ts",
        "src/oracle.ts",
        "src/plugin.test.ts",
        "tsconfig.json",
        "winnow.yaml",
      ]),
    );
  });

  it("masker: index and method together have at most 60 lines, comments included", () => {
    const { folder, files } = createPlugin({ name: "my-own", kind: "masker", folder: place });
    const code = files.filter((file) => /^src\/.*\.ts$/.test(file) && !/oracle|test/.test(file));
    expect(code).toHaveLength(2);
    const lines = code.reduce((sum, file) => sum + textOf(folder, file).trimEnd().split("\n").length, 0);
    expect(lines).toBeLessThanOrEqual(60);
  });

  it("an empty folder is fine", () => {
    mkdirSync(join(place, "empty"));
    expect(createPlugin({ name: "a", kind: "masker", folder: join(place, "empty") }).files).not.toEqual([]);
  });

  it("a folder that holds something is refused, and stays as it is", () => {
    writeFileSync(join(place, "package.json"), "mine");
    expect(() => createPlugin({ name: "a", kind: "masker", folder: place })).toThrow("it is not empty");
    expect(textOf(place, "package.json")).toBe("mine");
    expect(existsSync(join(place, "src"))).toBe(false);
  });

  it("a file in place of the folder is refused, and in place of a folder above it", () => {
    const file = join(place, "file");
    writeFileSync(file, "");
    for (const folder of [file, join(file, "a")]) {
      expect(() => createPlugin({ name: "a", kind: "masker", folder })).toThrow(
        expect.objectContaining({ code: "ERR_OUTPUT_FILE" }),
      );
    }
  });

  it.each([
    [{ name: "A", kind: "masker" }, "lower-case"],
    [{ name: "a", kind: "mask" }, 'Did you mean "masker"?'],
    [{ name: "a", kind: "masker", language: "js" }, "--language ts"],
  ])("%j is refused before anything is written", (request, problem) => {
    const folder = join(place, "new");
    expect(() => createPlugin({ ...request, folder })).toThrow(problem);
    expect(existsSync(folder)).toBe(false);
  });
});
