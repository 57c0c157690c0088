import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { type Example, exampleFolder, examplesOf, follow, outputPattern } from "./lib/markdown-examples.js";

const root = fileURLToPath(new URL("..", import.meta.url));

const pages = [
  "README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.includes("node_modules"))
    .map((name) => join("docs", name)),
].sort();

describe("examplesOf", () => {
  test("examplesOf reads files, commands with their output, and programs", () => {
    const page =
      "```ts file=a.ts\n1;\n```\n\n```sh\nls\n```\n```sh run status=2\nfalse\n```\n```text output\nno\n```\n```js run\n2;\n```\n";
    expect(examplesOf(page)).toEqual([
      { kind: "file", line: 1, path: "a.ts", text: "1;\n" },
      { kind: "run", line: 8, command: "false\n", status: 2, output: "no\n" },
      { kind: "file", line: 14, path: "example-14.mjs", text: "2;\n" },
      { kind: "run", line: 14, command: "node example-14.mjs", status: 0 },
    ]);
  });

  test("examplesOf refuses an output without a command and a mark that it does not know", () => {
    expect(() => examplesOf("```text output\nno\n```\n")).toThrow("line 1");
    expect(() => examplesOf("```ts flie=a.ts\n1;\n```\n")).toThrow("flie=a.ts");
  });
});

describe("outputPattern", () => {
  test("outputPattern takes dots for any lines or any text, and nothing else for anything else", () => {
    const pattern = outputPattern("...\na ...s (3)\n...\n");
    expect("x\na few s (3)\ny\n").toMatch(pattern);
    expect("a few s (4)\n").not.toMatch(pattern);
    expect("one\ntwo\n").not.toMatch(outputPattern("one\n"));
    expect("one\n").toMatch(outputPattern("one\n"));
  });
});

for (const page of pages) {
  const examples = examplesOf(readFileSync(join(root, page), "utf8"));
  if (examples.length > 0) describe(page, () => followPage(examples));
}

/** One test per command, in order, each with the files that stand before it on the page; then the types of all of them. */
function followPage(examples: readonly Example[]): void {
  const folder = exampleFolder(root, examples);
  afterAll(() => rmSync(folder, { recursive: true }));

  for (const [index, example] of examples.entries()) {
    if (example.kind === "file") continue;
    const before = examples.slice(0, index);
    test(`line ${example.line}: ${example.command.trim().replaceAll("\n", "; ")}`, { timeout: 300_000 }, async () => {
      for (const file of before) if (file.kind === "file") await follow(file, folder);
      const output = await follow(example, folder);
      if (example.output !== undefined) expect(output).toMatch(outputPattern(example.output));
    });
  }

  const sources = examples.flatMap((example) =>
    example.kind === "file" && example.path.endsWith(".ts") ? [example] : [],
  );
  if (sources.length === 0) return;
  test("all TypeScript files of the page, tests too, pass the type checker", async () => {
    for (const source of sources) await follow(source, folder);
    const config = { extends: "./tsconfig.base.json", compilerOptions: { noEmit: true }, include: ["plugins/*/src"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "-p", "."], { cwd: folder, encoding: "utf8", stdio: "pipe" });
  });
}
