import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type FencedBlock, fencedBlocks } from "./markdown-examples.js";

/** A fenced block without marks: its language alone says what a reader does with it. */
export interface UnmarkedBlock extends FencedBlock {
  readonly page: string;
}

/** Pages that people write; the others are generated from definitions that have tests. */
export function writtenPages(root: string): string[] {
  const within = (folder: string) => readdirSync(join(root, folder)).map((name) => join(folder, name, "README.md"));
  const docs = ["docs", "docs/guide"].flatMap((folder) => readdirSync(join(root, folder)).map((n) => join(folder, n)));
  const generated = ["docs/cli.md", "docs/errors.md", "docs/methods.md"];
  const pages = docs.filter((name) => name.endsWith(".md") && !generated.includes(name));
  return ["README.md", "examples/README.md", ...pages, ...within("packages"), ...within("plugins")];
}

export function unmarkedBlocks(root: string): UnmarkedBlock[] {
  return writtenPages(root).flatMap((page) =>
    [...fencedBlocks(readFileSync(join(root, page), "utf8"))]
      .filter(({ marks }) => marks.length === 0)
      .map((block) => ({ ...block, page })),
  );
}

/** Commands of a block of shell, one a line, without comments. */
export function commandsOf(text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/(^|\s)#.*$/, "").trim());
  return lines.filter((line) => line !== "");
}

/** Commands with options in the prose of a page: `` `npx winnow bench prefill --prompts 20` ``. */
export function inlineCommands(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, "");
  return Array.from(prose.matchAll(/`npx (winnow [^`]* --[^`]+)`/g), ([, command]) => command);
}

/** What comments beside or below `console.log` say that it prints. */
export function shownOutput(program: string): string[] {
  return Array.from(program.matchAll(/^console\.log\(.*\);(?: |\n)\/\/ (.+)$/gm), ([, shown]) => shown);
}
