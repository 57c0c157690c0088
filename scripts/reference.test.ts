import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { operationMethods, pluginKinds } from "../packages/core/dist/index.js";
import { createReference } from "../packages/kernels-reference/dist/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (page: string) => readFileSync(`${root}docs/${page}`, "utf8");

/** Text under a heading of level 3 or 2. */
function section(page: string, heading: string): string {
  return (
    read(page)
      .split(new RegExp(`^#{2,3} ${heading}$`, "m"))[1]
      ?.split(/^#{2,3} /m)[0] ?? ""
  );
}

describe("docs/reference/operations.md", () => {
  const operations = Object.entries(createReference()).filter(([, value]) => typeof value === "function");
  const methods = operations.map(([name]) => name);

  test("it describes as many operations as kernels implement", () => {
    expect(Object.values(operationMethods).flat().sort()).toEqual(methods.sort());
  });

  test.each(methods)("%s has a signature, a description with shapes or counts, and a cost", (method) => {
    const text = section("reference/operations.md", method);
    expect(text).toMatch(new RegExp(`^\`\`\`ts\n${method}\\(`, "m"));
    expect(text).toMatch(/`\[.+?\]`|`count`/);
    expect(text).toMatch(/O\(.+\)/);
  });
});

describe("docs/reference/contracts.md", () => {
  const page = read("reference/contracts.md");
  const kinds = section("reference/contracts.md", "PluginKinds");

  test.each(pluginKinds)("what a %s returns is described", (kind) => {
    const type = kinds.match(new RegExp(`\`"?${kind}"?: (\\w+)\``))?.[1];
    expect(page).toMatch(new RegExp(`^### ${type}$`, "m"));
    expect(section("reference/contracts.md", type!).length).toBeGreaterThan(100);
  });
});

describe("docs/cli.md", () => {
  const help = (...args: string[]) =>
    execFileSync(process.execPath, [`${root}packages/cli/bin/winnow.js`, ...args, "--help"], { encoding: "utf8" });
  const commandsOf = (text: string) =>
    Array.from(text.split("Commands:")[1].matchAll(/^ {2}(\w[\w-]*)/gm), ([, name]) => name).filter(
      (name) => name !== "help",
    );

  test("it has every command that the program offers", () => {
    for (const name of commandsOf(help())) expect(read("cli.md")).toMatch(new RegExp(`^## winnow ${name}( |$)`, "m"));
  });

  test("it has every option of winnow run", () => {
    const flags = Array.from(help("run").matchAll(/(--[\w-]+)/g), ([flag]) => flag).filter((flag) => flag !== "--help");
    for (const flag of new Set(flags)) expect(section("cli.md", "winnow run")).toContain(flag);
  });
});
