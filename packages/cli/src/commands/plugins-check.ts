import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { pluginKinds, WinnowError } from "@winnow/core";
import { readManifest } from "@winnow/runtime/registry";
import { checkPlugins, type PluginCheck } from "@winnow/runtime/registry/check";
import type { ExitStatus } from "../context.js";
import { print, printJson } from "../io.js";
import { openRegistry } from "./open-registry.js";

/** `winnow plugins check ID|PATH`: every problem of a plugin's package. Exit status 1 if there is one. */
export async function checkPluginCommand(
  reference: string,
  { json }: { readonly json?: boolean },
): Promise<ExitStatus> {
  const checks = await checksOf(reference);
  const failed = checks.some(({ problems }) => problems.length > 0);
  if (json) printJson({ ok: !failed, plugins: checks });
  else print(checks.map(verdict).join("\n"));
  return failed ? 1 : 0;
}

async function checksOf(reference: string): Promise<PluginCheck[]> {
  try {
    const registry = openRegistry();
    const path = resolve(reference);
    const isFolder = existsSync(path) && statSync(path).isDirectory() && registry.find(reference) === undefined;
    if (isFolder) return checkFolder(path, reference);
    const { folder, contract, id, url } = await registry.resolve(reference, pluginKinds);
    // A package is looked at as a whole: what its modules export must be what it declares.
    const together = registry.list().filter((plugin) => plugin.folder === folder && (contract || plugin.url === url));
    const checks = await checkPlugins(together, contract !== undefined);
    return registry.find(reference) ? checks.filter((check) => check.id === id) : checks;
  } catch (error) {
    if (error instanceof WinnowError) return [{ id: reference, problems: [error.message], notes: [] }];
    throw error;
  }
}

function checkFolder(path: string, reference: string): Promise<PluginCheck[]> | PluginCheck[] {
  const declared = readManifest(path);
  if (declared.length > 0) return checkPlugins(declared, true);
  return [{ id: reference, problems: [`"${path}" has no package.json with a "winnow" entry`], notes: [] }];
}

function verdict({ id, problems, notes }: PluginCheck): string {
  const lines = [...problems.map((problem) => `  problem: ${problem}`), ...notes.map((note) => `  note: ${note}`)];
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return [`${id}: ${problems.length === 0 ? "nothing wrong" : count}`, ...lines].join("\n");
}
