import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { CONTRACT_VERSION } from "@winnow/core";
import type { TemplateKind } from "./kinds.js";
import type { PluginName } from "./plugin-name.js";

const templates = fileURLToPath(new URL("../templates", import.meta.url));

export interface TemplateValues extends PluginName {
  readonly kind: TemplateKind;
  readonly author: string;
}

/** Files of a new plugin by their path: those that all kinds share and those of the kind, with `__NAMES__` filled in. */
export function templateFiles(values: TemplateValues): ReadonlyMap<string, string> {
  const fill = placeholders(values);
  const files = new Map<string, string>();
  for (const folder of [join(templates, "shared"), join(templates, values.kind.name)]) {
    for (const path of filesBelow(folder)) {
      // npm leaves files called .gitignore out of a package.
      const target = relative(folder, path).replace(/^gitignore$/, ".gitignore");
      files.set(target, fill(readFileSync(path, "utf8")));
    }
  }
  return files;
}

function placeholders({ id, packageName, kind, author }: TemplateValues): (text: string) => string {
  const values: Readonly<Record<string, string>> = {
    __ID__: id,
    __PACKAGE__: packageName,
    __KIND__: kind.contractKind,
    __SUMMARY__: kind.summary,
    // It only ever stands in a JSON string.
    __AUTHOR__: JSON.stringify(author).slice(1, -1),
    // With its quotes: a number takes the place of a string.
    '"__CONTRACT__"': String(CONTRACT_VERSION),
    __WINNOW__: winnowVersion(),
  };
  return (text) => text.replace(/"__CONTRACT__"|__[A-Z]+__/g, (name) => values[name] ?? name);
}

/** The version of the contracts' package that this generator works with. */
function winnowVersion(): string {
  const core = createRequire(import.meta.url).resolve("@winnow/core");
  const manifest = JSON.parse(readFileSync(join(core, "../../package.json"), "utf8")) as { readonly version: string };
  return manifest.version;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}
