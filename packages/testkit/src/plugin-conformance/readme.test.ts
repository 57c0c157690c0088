import { readFileSync } from "node:fs";
import { defineOptions, definePlugin, type PluginKind, pluginKinds } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { conformanceChecks } from "./checks.js";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** The checks of a kind do not depend on the plugin. */
function checksOf(kind: PluginKind): string[] {
  const definition = definePlugin({
    id: "any",
    kind,
    summary: "Any.",
    source: { title: "none" },
    options: defineOptions({}),
    create: () => ({}) as never,
  });
  const oracle = (() => undefined) as never;
  return conformanceChecks(definition, kind === "kernel" ? {} : { oracle }).map(
    ({ id, title, clause }) => `| \`${id}\` | ${title} | ${clause} |`,
  );
}

const tableOf = (heading: string) => readme.split(`### ${heading}\n`)[1]?.split("\n### ")[0] ?? "";
const rowsOf = (heading: string) => (tableOf(heading).match(/^\| `.*$/gm) ?? []).map((row) => row.replace(/ +/g, " "));

const common = checksOf("kernel").slice(0, 7);
const smallForms: Partial<Record<PluginKind, PluginKind>> = {
  "block-scorer": "masker",
  "evict-scorer": "kv-pruner",
  "element-scorer": "kv-pruner",
  "weight-scorer": "weight-sparsifier",
};

describe("README", () => {
  it("lists the checks for all kinds", () => {
    expect(rowsOf("Every kind")).toEqual(common);
  });

  it.each(pluginKinds)("lists the checks of a %s, and no others", (kind) => {
    const shared = smallForms[kind] ? checksOf(smallForms[kind]) : common;
    expect(rowsOf(kind)).toEqual(checksOf(kind).filter((row) => !shared.includes(row)));
  });
});

describe("@winnow/testkit/conformance", () => {
  it("loads nothing of vitest", () => {
    const seen = new Set<string>();
    const visit = (url: URL): void => {
      if (seen.has(url.href)) return;
      seen.add(url.href);
      const text = readFileSync(url, "utf8");
      for (const [, specifier] of text.matchAll(/(?:from|import) "([^"]+)"/g)) {
        expect(specifier).not.toMatch(/^vitest/);
        if (specifier.startsWith(".")) visit(new URL(specifier.replace(/\.js$/, ".ts"), url));
      }
    };
    visit(new URL("./index.ts", import.meta.url));
    expect(seen.size).toBeGreaterThan(20);
  });
});
