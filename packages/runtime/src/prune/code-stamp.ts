import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const RELATIVE_IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g;

/** A hash of a module and of all that it imports by relative paths, however deep. Packages that it imports by name count by their own versions only. */
export function hashOfModule(url: string): string {
  const hash = createHash("sha256");
  const seen = new Set([url]);
  for (const module of seen) {
    const file = fileURLToPath(module);
    if (!existsSync(file)) continue;
    const text = readFileSync(file, "utf8");
    hash.update(text).update("\0");
    for (const [, specifier] of text.matchAll(RELATIVE_IMPORT)) seen.add(new URL(specifier, module).href);
  }
  return hash.digest("hex");
}

/** Names, sizes and times of change of the built files of the packages that compute: a working copy that was built again counts as another version. */
export function stampOfOwnCode(): string {
  const packages = ["core", "models", "kernels-native", "kernels-onnx", "kernels-reference"];
  const entries = [import.meta.url, ...packages.map((name) => import.meta.resolve(`@winnow/${name}`))];
  const hash = createHash("sha256");
  for (const entry of entries) for (const line of builtFiles(packageFolder(entry))) hash.update(`${line}\n`);
  return hash.digest("hex");
}

/** Folder of the package that a module of its `dist` belongs to. */
function packageFolder(entry: string): string {
  return fileURLToPath(entry.replace(/\/(?:dist|src)\/.*$/, "/"));
}

function builtFiles(folder: string): string[] {
  return ["dist", "build"].flatMap((part) => {
    const root = join(folder, part);
    const names = existsSync(root) ? (readdirSync(root, { recursive: true }) as string[]) : [];
    return names
      .filter((name) => /\.(js|node)$/.test(name))
      .sort()
      .map((name) => {
        const { size, mtimeMs } = statSync(join(root, name));
        return `${name} ${size} ${mtimeMs}`;
      });
  });
}
