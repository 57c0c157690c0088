import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** README files of packages and plugins, pages of docs and at the root. */
const pages = [".", "docs", "docs/guide", "docs/reference", ...foldersIn("packages"), ...foldersIn("plugins")].flatMap(
  (folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(folder, name)),
);

function foldersIn(folder: string): string[] {
  return readdirSync(join(root, folder)).map((name) => join(folder, name));
}

/** A page without fenced code, in which brackets are no links. */
function proseOf(file: string): string {
  return readFileSync(file, "utf8").replace(/^```[\s\S]*?^```$/gm, "");
}

/** Anchors as GitHub makes them of headings; a repeated one gets a number. */
function anchorsOf(file: string): Set<string> {
  const counts = new Map<string, number>();
  const headings = proseOf(file).matchAll(/^#+ (.+)$/gm);
  return new Set(
    Array.from(headings, ([, heading]) => {
      const anchor = heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-");
      const before = counts.get(anchor) ?? 0;
      counts.set(anchor, before + 1);
      return before === 0 ? anchor : `${anchor}-${before}`;
    }),
  );
}

function brokenLinks(page: string): string[] {
  const links = proseOf(join(root, page)).matchAll(/\]\(([^)\s]+)\)/g);
  return Array.from(links, ([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path, anchor] = target.split("#");
      const file = path === "" ? join(root, page) : resolve(root, dirname(page), path);
      if (!existsSync(file)) return true;
      return anchor !== undefined && !anchorsOf(file).has(anchor);
    });
}

test.each(pages)("%s links to files and headings that exist", (page) => {
  expect(brokenLinks(page)).toEqual([]);
});

test("every page of docs can be reached from docs/index.md", () => {
  const reached = new Set(["docs/index.md"]);
  for (const page of reached) {
    for (const [, path] of proseOf(join(root, page)).matchAll(/\]\(([^)#\s:]+\.md)[^)]*\)/g)) {
      const target = relative(root, resolve(root, dirname(page), path));
      if (target.startsWith("docs/")) reached.add(target);
    }
  }
  expect([...reached].sort()).toEqual(pages.filter((page) => page.startsWith("docs/")).sort());
});
