import { existsSync, realpathSync } from "node:fs";
import { delimiter, isAbsolute, relative, resolve, sep } from "node:path";
import { WinnowError } from "@winnow/core/errors";

/** Environment variable with files and folders, separated as in PATH, whose code a configuration may name by path. */
const VARIABLE = "WINNOW_ALLOW_PLUGINS";

/**
 * Which code a configuration file may name by path: what lies in its own folder, in the current folder, and in the files and folders that the user
 * allowed. Links are followed on both sides, so a link inside a folder to code outside of it gives nothing away.
 */
export class PathPermission {
  readonly #roots: readonly string[];

  /** `folders` and `allowed` as they were written; relative ones start from the current folder. */
  constructor(folders: readonly string[], allowed: readonly string[] = []) {
    const fromEnvironment = (process.env[VARIABLE] ?? "").split(delimiter).filter((path) => path !== "");
    this.#roots = [...folders, ...allowed, ...fromEnvironment].map(realPath);
  }

  /** Throws `ERR_PLUGIN_NOT_ALLOWED` unless the file or folder `path`, absolute and without links, may be run. */
  require(path: string): void {
    if (this.#roots.some((root) => isInside(path, root))) return;
    throw new WinnowError(
      "ERR_PLUGIN_NOT_ALLOWED",
      `Cannot run the plugin code in "${path}": a configuration may name code by path in its own folder and in the current folder only. If you trust this code, allow it with --allow-plugins ${path} or in the environment variable ${VARIABLE}.`,
    );
  }
}

function realPath(path: string): string {
  const absolute = resolve(path);
  return existsSync(absolute) ? realpathSync(absolute) : absolute;
}

function isInside(path: string, root: string): boolean {
  const way = relative(root, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
