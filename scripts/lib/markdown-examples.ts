import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

/** A fenced block of a page that is more than text. */
export type Example =
  /** ```` ```ts file=src/a.ts ````: a file that the reader writes. */
  | { readonly kind: "file"; readonly line: number; readonly path: string; readonly text: string }
  /** ```` ```sh run ```` (status=N: expected exit status); `output` is the `output` block after it. */
  | {
      readonly kind: "run";
      readonly line: number;
      readonly command: string;
      readonly status: number;
      readonly output?: string;
    };

/** Examples of a page in order. A marked block that is neither, or an output without command, throws. */
export function examplesOf(markdown: string): Example[] {
  const examples: Example[] = [];
  for (const { line, language, marks, text } of fencedBlocks(markdown)) {
    const path = marks.find((mark) => mark.startsWith("file="))?.slice("file=".length);
    const last = examples.at(-1);
    if (path) examples.push({ kind: "file", line, path, text });
    else if (marks.includes("run") && language === "sh")
      examples.push({ kind: "run", line, command: text, status: statusOf(marks) });
    else if (marks.includes("run") && language === "js")
      examples.push(...program(`example-${line}.mjs`, text, line, statusOf(marks)));
    else if (marks.includes("output") && last?.kind === "run" && last.output === undefined)
      examples[examples.length - 1] = { ...last, output: text };
    else if (marks.length > 0) throw new Error(`line ${line}: what is a block marked "${marks.join(" ")}" here?`);
  }
  return examples;
}

/** A program in a block ```` ```js run ````. */
function program(path: string, text: string, line: number, status: number): Example[] {
  return [
    { kind: "file", line, path, text },
    { kind: "run", line, command: `node ${path}`, status },
  ];
}

function statusOf(marks: readonly string[]): number {
  return Number(marks.find((mark) => mark.startsWith("status="))?.slice("status=".length) ?? 0);
}

/** A fence and what stands in it: ```` ```LANGUAGE MARKS ````. */
export interface FencedBlock {
  readonly line: number;
  readonly language: string;
  readonly marks: readonly string[];
  readonly text: string;
}

export function* fencedBlocks(markdown: string): Generator<FencedBlock> {
  const fence = /^```(\w*)[ \t]*([^\n]*)\n([\s\S]*?)^```$/gm;
  for (const { index, 1: language, 2: marks, 3: text } of markdown.matchAll(fence)) {
    const line = markdown.slice(0, index).split("\n").length;
    yield { line, language, marks: marks.split(/\s+/).filter(Boolean), text };
  }
}

/**
 * A folder that looks like the root of a clone after `pnpm install`: the workspace's packages, tools, models and configurations are linked, and so are
 * the plugin packages that the examples are going to write.
 */
export function exampleFolder(root: string, examples: readonly Example[]): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "winnow-docs-")));
  for (const name of ["models", "schemas", "tsconfig.base.json", "vitest.config.ts"]) link(root, folder, name);
  for (const name of readdirSync(join(root, "configs"))) link(root, folder, join("configs", name));
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@winnow") link(root, folder, join("node_modules", name));
  }
  for (const name of readdirSync(join(root, "packages")))
    link(root, folder, join("packages", name), join("node_modules/@winnow", name));
  link(root, folder, "packages/core/node_modules/zod", "node_modules/zod");
  for (const example of examples) {
    const id = example.kind === "file" && example.path.match(/^plugins\/([^/]+)\/package\.json$/)?.[1];
    if (id) link(folder, folder, join("plugins", id), join("node_modules/@winnow", `plugin-${id}`));
  }
  return folder;
}

function link(from: string, to: string, source: string, name = source): void {
  const place = join(to, name);
  mkdirSync(dirname(place), { recursive: true });
  symlinkSync(join(from, source), place);
}

/** Does what the page asks its reader to do, and returns what a command printed on both streams. Rejects where the exit status is not the expected one. */
export async function follow(example: Example, folder: string): Promise<string> {
  if (example.kind === "file") {
    const file = join(folder, example.path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, example.text);
    return "";
  }
  const { status, output } = await shell(example.command, folder);
  if (status === example.status) return output;
  throw new Error(`line ${example.line}: exit status ${status}, expected ${example.status}:\n${output}`);
}

/** What a command prints on both streams in such a folder. Rejects where it does not end with status 0. */
export function runIn(folder: string, command: string): Promise<string> {
  return follow({ kind: "run", line: 1, command, status: 0 }, folder);
}

/** Both streams in one; npx without the seconds that it takes to find out that a tool is installed. */
const prelude = 'exec 2>&1; npx() { "$@"; }';

function shell(command: string, cwd: string): Promise<{ status: number; output: string }> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_OPTIONS$|NODE_ENV$)/.test(name));
  const path = `${join(cwd, "node_modules/.bin")}${delimiter}${process.env.PATH}`;
  const env = { ...Object.fromEntries(inherited), NO_COLOR: "1", PATH: path };
  return new Promise((resolve) => {
    execFile("sh", ["-ec", `${prelude}\n${command}`], { cwd, env, timeout: 240_000 }, (error, output) => {
      const status = error ? (typeof error.code === "number" ? error.code : 1) : 0;
      resolve({ status, output });
    });
  });
}

/** Whether lines fit what a page shows: `...` on a line of its own stands for any lines, inside a line for any text. */
export function outputPattern(shown: string): RegExp {
  const lines = shown.trimEnd().split("\n");
  const parts = lines.map((line) =>
    line === "..." ? "(?:.*\n)*?" : `${line.trimEnd().split("...").map(literally).join(".*")}[ \t]*\n`,
  );
  return new RegExp(`^${parts.join("")}${lines.at(-1) === "..." ? "" : "\\s*$"}`);
}

function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
