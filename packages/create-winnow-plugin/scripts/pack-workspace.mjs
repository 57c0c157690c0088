import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.mjs";

/** What a plugin, its tests and the `winnow` command need of this workspace. */
export const packageNames = [
  "@winnow/cli",
  "@winnow/core",
  "@winnow/evaluate",
  "@winnow/kernels-native",
  "@winnow/kernels-onnx",
  "@winnow/kernels-reference",
  "@winnow/models",
  "@winnow/runtime",
  "@winnow/testkit",
  "create-winnow-plugin",
];

/** Packs them by pnpm, which turns `workspace:` and `catalog:` into versions. Resolves to name -> tarball. */
export async function packWorkspace(root, target) {
  mkdirSync(target, { recursive: true });
  const filters = packageNames.flatMap((name) => ["--filter", name]);
  await run(join(root, "node_modules/.bin/pnpm"), ["-r", ...filters, "pack", "--pack-destination", target], root);
  const files = readdirSync(target);
  return new Map(
    packageNames.map((name) => {
      const stem = name.replace("@", "").replace("/", "-");
      const file = files.find((candidate) => candidate.startsWith(`${stem}-`) && /-\d[^-]*\.tgz$/.test(candidate));
      if (!file) throw new Error(`pnpm packed no ${name}: ${files.join(", ")}`);
      return [name, join(target, file)];
    }),
  );
}
