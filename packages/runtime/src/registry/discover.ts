import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const runtimeFolder = dirname(fileURLToPath(import.meta.url));

/**
 * Folders of packages that may be plugins: those of the workspace that this runtime lives in, then those in node_modules of `folders`,
 * of this runtime, and above each.
 */
export function pluginFolders(folders: readonly string[]): string[] {
  return [...workspacePlugins(), ...moduleFolders(folders).flatMap(installedPackages)];
}

/** node_modules of `folders`, of this runtime, and above each; nearest first, without repeats. */
export function moduleFolders(folders: readonly string[]): string[] {
  const places = [...folders, runtimeFolder].flatMap(ancestors);
  return [...new Set(places)].map((place) => join(place, "node_modules"));
}

function workspacePlugins(): string[] {
  const root = ancestors(runtimeFolder).find((folder) => existsSync(join(folder, "pnpm-workspace.yaml")));
  return root === undefined ? [] : subfolders(join(root, "plugins"));
}

/** Packages named `winnow-plugin-*`, `@scope/winnow-plugin-*` or `@winnow/plugin-*`. */
function installedPackages(modules: string): string[] {
  return subfolders(modules).flatMap((path) => {
    const name = path.slice(modules.length + 1);
    if (!name.startsWith("@")) return name.startsWith("winnow-plugin-") ? [path] : [];
    const prefix = name === "@winnow" ? "plugin-" : "winnow-plugin-";
    return subfolders(path).filter((inner) => inner.slice(path.length + 1).startsWith(prefix));
  });
}

function subfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map((entry) => join(folder, entry.name))
    .sort();
}

/** A folder and all above it. */
function ancestors(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...ancestors(parent)];
}
