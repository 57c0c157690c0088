import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./run.mjs";

/**
 * An installation without a registry: our tarballs are unpacked, and whatever their manifests name besides, with `tools`, is linked from the workspace.
 * What no manifest names is not there, so that a missing dependency shows.
 */
export async function installLinked(root, place, tarballs, tools) {
  const modules = join(place, "node_modules");
  const wanted = new Map(tools.map((name) => [name, [join(root, "packages/create-winnow-plugin"), root]]));
  for (const [name, tarball] of tarballs) {
    const folder = join(modules, name);
    mkdirSync(folder, { recursive: true });
    await run("tar", ["-xzf", tarball, "-C", folder, "--strip-components=1"], place);
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const origin = join(root, "packages", name.replace("@winnow/", ""));
    for (const dependency of Object.keys(dependencies))
      wanted.set(dependency, [origin, ...(wanted.get(dependency) ?? [])]);
  }
  for (const [name, origins] of wanted) if (!tarballs.has(name)) link(name, origins, modules);
  mkdirSync(join(modules, ".bin"));
  for (const [command, script] of [
    ["tsc", "typescript/bin/tsc"],
    ["vitest", "vitest/vitest.mjs"],
  ])
    symlinkSync(join(modules, script), join(modules, ".bin", command));
}

function link(name, origins, modules) {
  const source = origins.map((origin) => join(origin, "node_modules", name)).find(existsSync);
  if (!source) throw new Error(`${name} is in none of ${origins.join(", ")}: run pnpm install`);
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(realpathSync(source), join(modules, name));
}
