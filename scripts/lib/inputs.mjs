import { createHash } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { root } from "./workspace.mjs";

/** Folders of the packages that are built. */
export function packageFolders() {
  return ["packages", "plugins"].flatMap((parent) =>
    readdirSync(join(root, parent))
      .map((name) => join(root, parent, name))
      .filter((folder) => existsSync(join(folder, "tsconfig.json"))),
  );
}

/** Hash of all that a build depends on. Files by size and time of change, as make does it: reading them would cost more. */
export function stateOfInputs() {
  const files = packageFolders().flatMap((folder) =>
    ["src", "native", "scripts", "package.json", "tsconfig.json"].flatMap((name) => filesIn(join(folder, name))),
  );
  const shared = ["tsconfig.base.json", "turbo.json", "pnpm-lock.yaml"].map((name) => join(root, name));
  const facts = [...files, ...shared].map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [file, size, mtimeMs];
  });
  const { CXX, CXXFLAGS } = process.env;
  return createHash("sha256")
    .update(JSON.stringify([facts, CXX, CXXFLAGS, compilerOnPath()]))
    .digest("hex");
}

/** A compiler that was installed or updated since is a reason to build again. */
function compilerOnPath() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const found = ["c++", "g++", "clang++"].flatMap((name) => folders.map((folder) => join(folder, name)));
  const compiler = found.find(existsSync);
  return compiler && [compiler, statSync(compiler).mtimeMs];
}

function filesIn(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
