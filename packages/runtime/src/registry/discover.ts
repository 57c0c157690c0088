import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folders of packages that may be plugins, nearest first: the workspace that this runtime lives in, then node_modules of `folder` and above. */
export function pluginFolders(folder: string): string[] {
  return [
    ...workspacePlugins(),
    ...ancestors(folder).flatMap((ancestor) => installedPackages(join(ancestor, "node_modules"))),
  ];
}

function workspacePlugins(): string[] {
  const root = ancestors(dirname(fileURLToPath(import.meta.url))).find((folder) =>
    existsSync(join(folder, "pnpm-workspace.yaml")),
  );
  return root === undefined ? [] : subfolders(join(root, "plugins"));
}

/** Packages named `winnow-plugin-*`, `@scope/winnow-plugin-*` or `@winnow/plugin-*`. */
function installedPackages(modules: string): string[] {
  return subfolders(modules).flatMap((path) => {
    const name = path.slice(modules.length + 1);
    if (name === "@winnow")
      return subfolders(path).filter((inner) => inner.slice(path.length + 1).startsWith("plugin-"));
    if (name.startsWith("@"))
      return subfolders(path).filter((inner) => inner.slice(path.length + 1).startsWith("winnow-plugin-"));
    return name.startsWith("winnow-plugin-") ? [path] : [];
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
export function ancestors(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...ancestors(parent)];
}
