import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { PluginKind } from "@winnow/core";
import { WinnowError } from "@winnow/core/errors";
import { CONTRACT_VERSION } from "@winnow/core/manifest";
import { manifestProblems, type PluginPackage } from "./manifest-rules.js";

/** What is known of an installed plugin before its code is loaded. */
export interface InstalledPlugin {
  readonly id: string;
  readonly kind: PluginKind;
  readonly summary: string;
  readonly package: string;
  readonly version: string;
  /** Contract version that the package declares; a module that is named by its path declares none. */
  readonly contract?: number;
  /** Folder of the package, links resolved. */
  readonly folder: string;
  /** File URL of the module. */
  readonly url: string;
}

/**
 * Plugins that a package declares in its package.json; `[]` if it declares none. No code is loaded.
 * Throws `ERR_PLUGIN_INVALID` naming the file if the declaration is malformed or made for another contract version.
 */
export function readManifest(folder: string): InstalledPlugin[] {
  const file = join(folder, "package.json");
  const json = readJson(file);
  if (typeof json !== "object" || json === null || !("winnow" in json)) return [];
  const problems = manifestProblems(json);
  if (problems.length > 0) {
    throw new WinnowError(
      "ERR_PLUGIN_INVALID",
      `Cannot use the plugin package "${file}": ${problems.join("; ")}. Correct its package.json.`,
    );
  }
  const { name, version = "0.0.0", exports, main, winnow } = json as PluginPackage;
  const { contract } = winnow;
  if (contract !== CONTRACT_VERSION) {
    const advice = contract > CONTRACT_VERSION ? "Update Winnow, or install an older" : "Install a newer";
    throw new WinnowError(
      "ERR_PLUGIN_INVALID",
      `Cannot use the plugin package "${file}": it was made for contract version ${contract}, this Winnow has version ${CONTRACT_VERSION}. ${advice} version of ${name}.`,
    );
  }
  const real = realpathSync(folder);
  return winnow.plugins.map(({ id, kind, summary, module }) => {
    const entry = module ?? entryOf(exports, main);
    return {
      id,
      kind,
      summary,
      package: name,
      version,
      contract,
      folder: real,
      url: pathToFileURL(join(real, entry)).href,
    };
  });
}

function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WinnowError(
      "ERR_PLUGIN_INVALID",
      `Cannot read "${file}": ${(error as Error).message}. Reinstall the package.`,
      { cause: error },
    );
  }
}

/** The module of `import "package"`: the `.` export for Node's import condition, else `main`. */
function entryOf(exports: unknown, main: string | undefined): string {
  const target =
    typeof exports === "object" && exports !== null && "." in exports
      ? (exports as Record<string, unknown>)["."]
      : exports;
  return conditionalTarget(target) ?? main ?? "index.js";
}

function conditionalTarget(target: unknown): string | undefined {
  if (typeof target === "string") return target;
  if (typeof target !== "object" || target === null) return undefined;
  for (const condition of ["node", "import", "default"]) {
    const found = conditionalTarget((target as Record<string, unknown>)[condition]);
    if (found) return found;
  }
  return undefined;
}
