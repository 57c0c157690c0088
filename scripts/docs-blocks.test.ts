import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { readBlock } from "../packages/models/dist/compact/block.js";
import { exampleFolder, runIn } from "./lib/markdown-examples.js";
import {
  commandsOf,
  inlineCommands,
  shownOutput,
  type UnmarkedBlock,
  unmarkedBlocks,
  writtenPages,
} from "./lib/unmarked-blocks.js";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Blocks that are not followed, by page and first line, and why. */
const notFollowed: Readonly<Record<string, string>> = {
  "packages/create-winnow-plugin/README.md: npm create winnow-plugin my-masker -- --kind masker":
    "npm asks its registry for the package and then for what it needs; the tests of the package follow the same steps in the workspace",
  "examples/README.md: node examples/stream-answer/main.mjs": "examples/examples.test.ts runs it",
  "packages/kernels-native/README.md: node scripts/build.mjs                        build/winnow_native.node":
    "a table of options; `npm test` runs the builds",
};

/** Commands that must have the words that the program takes, but are not run, and why. */
const notRun: Readonly<Record<string, string>> = {
  "winnow prune configs/wanda.yaml --out runs/wanda": "30 s; docs/guide/write-a-weight-scorer.md prunes with less text",
  "winnow eval perplexity runs/wanda": "20 s; docs/guide/write-a-weight-scorer.md scores one window",
  "winnow tune tidal-decode configs/quickstart.yaml": "minutes",
  "winnow bench attention": "minutes",
  "winnow verify DIR": "the reader has the recordings",
  "winnow conformance my-method": "the new package gets what it needs from the npm registry",
  "winnow conformance ./my-plugin --json": "the reader has the plugin",
  "winnow run pipeline.yaml --allow-plugins ../our-plugins": "the reader has the plugins",
};

const blocks = unmarkedBlocks(root);
const followed = blocks.filter((block) => !(keyOf(block) in notFollowed));
const ofLanguage = (...languages: string[]) => followed.filter(({ language }) => languages.includes(language));
const commands = ofLanguage("sh").flatMap(({ page, text }) => commandsOf(text).map((command) => ({ page, command })));
const winnowCommands = commands.map(({ command }) => withoutNpx(command)).filter((line) => line.startsWith("winnow "));

const folder = exampleFolder(root, []);
afterAll(() => rmSync(folder, { recursive: true }));
// What commands write stays here, and the shipped model stands for the one that a command which is not run would write.
rmSync(join(folder, "schemas"));
mkdirSync(join(folder, "runs"));
symlinkSync(join(root, "models/winnow-16m-32k"), join(folder, "runs/wanda"));

function keyOf({ page, text }: UnmarkedBlock): string {
  return `${page}: ${text.split("\n")[0]}`;
}

function withTitle(block: UnmarkedBlock): [string, UnmarkedBlock] {
  return [`${block.page} line ${block.line}`, block];
}

function withoutNpx(command: string): string {
  return command.replace(/^npx /, "");
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

describe("blocks without marks", () => {
  test("commandsOf leaves comments out, and # inside a word in", () => {
    expect(commandsOf("# first\nnpx winnow run a.yaml  # now\n\nls a#b\n")).toEqual([
      "npx winnow run a.yaml",
      "ls a#b",
    ]);
  });

  test("inlineCommands finds commands with options outside of blocks", () => {
    const page = "`npx winnow run` and `npx winnow bench masks --json`\n```sh\nnpx winnow schema --out a\n```\n";
    expect(inlineCommands(page)).toEqual(["winnow bench masks --json"]);
  });

  test("shownOutput reads comments beside and below console.log, and no others", () => {
    const program = "const a = 1; // one\nconsole.log(a); // 1\nconsole.log(b);\n// 2\n// three\n";
    expect(shownOutput(program)).toEqual(["1", "2"]);
  });

  test("what is not followed or not run stands on a page", () => {
    expect(Object.keys(notFollowed).filter((key) => !blocks.some((block) => keyOf(block) === key))).toEqual([]);
    expect(Object.keys(notRun).filter((command) => !winnowCommands.includes(command))).toEqual([]);
  });

  test("those that hold commands, programs or data say so by their language", () => {
    const known = ["", "sh", "yaml", "json", "js", "ts"];
    expect(followed.filter(({ language }) => !known.includes(language))).toEqual([]);
    expect(ofLanguage("").filter(({ text }) => /^(npx|npm|node|winnow) /m.test(text))).toEqual([]);
  });
});

describe("commands", () => {
  const inline = writtenPages(root).flatMap((page) => inlineCommands(readFileSync(join(root, page), "utf8")));

  test("winnow takes the arguments and options of all commands, in blocks and in the text of pages", () => {
    const lines = [...new Set([...winnowCommands, ...inline])];
    expect(lines.length).toBeGreaterThan(20);
    const words = lines.map((line) => line.split(/\s+/).slice(1));
    const parser = join(root, "scripts/lib/parse-commands.mjs");
    const output = execFileSync(process.execPath, [parser], { input: JSON.stringify(words), encoding: "utf8" });
    const problems = JSON.parse(output) as string[];
    expect(lines.flatMap((line, i) => (problems[i] === "" ? [] : [`${line}: ${problems[i]}`]))).toEqual([]);
  });

  test("configurations that commands name are there", () => {
    const named = [...winnowCommands, ...inline].flatMap((line) => line.match(/\bconfigs\/\S+/g) ?? []);
    const ofGuides = blocksOfGuides();
    expect(named.filter((file) => !existsSync(join(root, file)) && !ofGuides.includes(file))).toEqual([]);
  });

  test("scripts that npm is asked to run are in package.json", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const asked = commands.flatMap(({ command }) => command.match(/^npm (?:run )?(\S+)/)?.[1] ?? []);
    expect(asked).toContain("quickstart");
    expect(asked.filter((name) => !(name in scripts))).toEqual([]);
  });

  const run = commands.filter(({ command }) => !command.startsWith("npm ") && !(withoutNpx(command) in notRun));
  test.each(run.map(({ page, command }) => [page, command]))("%s: %s ends with status 0", async (_, command) => {
    await runIn(folder, command);
  });
});

/** Files that the guides let their reader write. */
function blocksOfGuides(): string[] {
  const guides = writtenPages(root).filter((page) => page.startsWith("docs/guide/"));
  return guides.flatMap((page) =>
    Array.from(readFileSync(join(root, page), "utf8").matchAll(/ file=(\S+)/g), ([, file]) => file),
  );
}

describe("configurations", () => {
  test.each(ofLanguage("yaml").map(withTitle))("%s: winnow explain accepts it", async (_, { page, line, text }) => {
    const file = `${page.replaceAll("/", "-")}-${line}.yaml`;
    write(file, /^model:/m.test(text) ? text : `model: models/winnow-16m-32k\n${text}`);
    expect(await runIn(folder, `winnow explain ${file}`)).toContain("\nvalues\n");
  });
});

describe("data", () => {
  const readers: Readonly<Record<string, (text: string) => unknown>> = {
    "docs/sparse-format.md": (winnow) => readBlock({ path: "the page", metadata: { winnow } } as never),
    "plugins/minference/README.md": (text) => {
      write("heads.json", text);
      write(
        "heads.yaml",
        "model: models/winnow-16m-32k\nprefill: { masker: minference, options: { headConfig: heads.json } }\n",
      );
      return runIn(folder, "winnow explain heads.yaml");
    },
  };

  test.each(ofLanguage("json").map(withTitle))("%s: its reader accepts it", async (_, { page, text }) => {
    expect(await readers[page]?.(text)).toBeTruthy();
  });
});

describe("programs", () => {
  const isTest = ({ text }: UnmarkedBlock) => text.includes("describePlugin");
  const programs = ofLanguage("js", "ts").filter((block) => !isTest(block));
  const nameOf = ({ page, line }: UnmarkedBlock) => `${page.replaceAll("/", "-")}-${line}`;

  test("all pass the type checker", () => {
    write("prompt.txt", "Alice was beginning to get very tired of\n");
    for (const block of programs) write(`programs/${nameOf(block)}.m${block.language}`, block.text);
    const compilerOptions = {
      allowJs: true,
      checkJs: true,
      noUnusedLocals: false,
      rootDir: "programs",
      outDir: "built",
    };
    write("tsconfig.json", JSON.stringify({ extends: "./tsconfig.base.json", compilerOptions, include: ["programs"] }));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "-p", "."], { cwd: folder, encoding: "utf8", stdio: "pipe" });
  });

  test.each(programs.map(withTitle))("%s: it runs and prints what its comments show", async (_, block) => {
    const output = await runIn(folder, `node built/${nameOf(block)}.mjs`);
    for (const shown of shownOutput(block.text)) expect(output).toContain(shown);
  });

  test.each(ofLanguage("ts").filter(isTest).map(withTitle))("%s: the test passes in a package", async (_, { text }) => {
    const plugin = JSON.stringify(join(root, "plugins/hello-masker/dist/index.js"));
    write("plugins/documented/src/index.ts", `export { default } from ${plugin};\n`);
    write("plugins/documented/src/conformance.test.ts", text);
    expect(await runIn(folder, "npx vitest run plugins/documented")).toMatch(/Tests .*\d+ passed/);
  });
});
