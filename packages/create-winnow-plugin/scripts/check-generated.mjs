// Does what a stranger does: installs the packed packages in an empty folder, makes a plugin of each kind, tests and builds it there, lists and plans it.
// Needs a built workspace. Without a network, other packages come from this workspace's node_modules.
//   node packages/create-winnow-plugin/scripts/check-generated.mjs [kind ...] [--offline] [--keep]
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { kindNames } from "../dist/index.js";
import { installLinked } from "./install-linked.mjs";
import { packageNames, packWorkspace } from "./pack-workspace.mjs";
import { attempt, run, timed } from "./run.mjs";

const { values: flags, positionals } = parseArgs({
  options: { offline: { type: "boolean" }, keep: { type: "boolean" } },
  allowPositionals: true,
});
// No long wait for a registry that is not there.
const npmFlags = [
  ...["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"],
  ...["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"],
];
const kinds = positionals.length > 0 ? positionals : kindNames;
const root = fileURLToPath(new URL("../../..", import.meta.url));
const model = join(root, "models/winnow-16m-32k");
// Resolved, so that paths which tools print are the same as these.
const place = realpathSync(mkdtempSync(join(tmpdir(), "winnow-generated-")));
const folderOf = (kind) => join(place, "plugins", `winnow-plugin-made-${kind}`);

try {
  const tarballs = await timed("packing", () => packWorkspace(root, join(place, "tarballs")));
  await timed("installing", () => install(tarballs));
  requirePacked();
  requireSchemas();
  addPrebuilt();
  const bin = join(place, "node_modules/create-winnow-plugin/bin/create-winnow-plugin.js");
  for (const kind of kinds) {
    await run(process.execPath, [bin, `made-${kind}`, "--kind", kind, "--folder", folderOf(kind)], place);
  }
  await timed("adding the plugins", linkPlugins);
  for (const kind of kinds) await timed(kind, () => checkPlugin(kind));
  console.log(`${kinds.length} generated plugins build, pass their tests and can be planned`);
} finally {
  if (flags.keep) console.log(`kept: ${place}`);
  else rmSync(place, { recursive: true, force: true });
}

/** Editors complete configurations from the schemas of the release that is installed. */
function requireSchemas() {
  for (const name of ["pipeline", "receipt"]) {
    const file = `schemas/${name}.schema.json`;
    const published = readFileSync(join(place, "node_modules/@winnow/cli", file), "utf8");
    if (published !== readFileSync(join(root, file), "utf8"))
      throw new Error(`${file} of @winnow/cli is not this release's`);
  }
}

/** By npm, as anyone would; where npm reaches no registry, by unpacking and linking. */
async function install(tarballs) {
  const ours = Object.fromEntries([...tarballs].map(([name, file]) => [name, `file:${file}`]));
  const versions = Object.fromEntries(Object.keys(ours).map((name) => [name, `$${name}`]));
  const manifest = {
    name: "check-generated",
    private: true,
    type: "module",
    workspaces: ["plugins/*"],
    dependencies: { ...ours, zod: "^4.0.0" },
    devDependencies: { typescript: "^7.0.2", vitest: "^4.1.12" },
    overrides: versions,
  };
  mkdirSync(join(place, "plugins"));
  writeFileSync(join(place, "package.json"), JSON.stringify(manifest, null, 2));
  if (!flags.offline) {
    const failure = await attempt("npm", ["install", ...npmFlags], place);
    if (failure === undefined) return;
    if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network/i.test(failure)) {
      throw new Error(failure);
    }
    console.log("  no registry: linking the packages of this workspace");
  }
  flags.offline = true;
  await installLinked(root, place, tarballs, ["zod", "typescript", "vitest"]);
}

/** A published package holds the add-on of each platform; the one that was built here stands in for them. */
function addPrebuilt() {
  const built = join(root, "packages/kernels-native/build/winnow_native.node");
  const target = join(place, "node_modules/@winnow/kernels-native/prebuilds", `${process.platform}-${process.arch}`);
  if (existsSync(built)) cpSync(built, join(target, "winnow_native.node"));
}

/** Into node_modules, where Winnow looks, as npm does with the packages of its workspaces. */
async function linkPlugins() {
  if (!flags.offline) return run("npm", ["install", ...npmFlags], place);
  for (const kind of kinds) symlinkSync(folderOf(kind), join(place, "node_modules", basename(folderOf(kind))));
}

async function checkPlugin(kind) {
  const folder = folderOf(kind);
  await run("npm", ["test"], folder);
  await run("npm", ["run", "build"], folder);
  await run("npm", ["pack", "--dry-run"], folder);
  const winnow = join(place, "node_modules/@winnow/cli/bin/winnow.js");
  const listed = await run(process.execPath, [winnow, "plugins", "list", "--json"], folder);
  requireText(listed, `"made-${kind}"`, "winnow plugins list");
  requireText(
    await run(process.execPath, [winnow, "plugins", "check", "."], folder),
    "nothing wrong",
    "winnow plugins check",
  );
  const sets = ["--set", `model=${model}`, "kernels.fallback=allow"];
  requireText(
    await run(process.execPath, [winnow, "explain", "winnow.yaml", ...sets], folder),
    `made-${kind}`,
    "winnow explain",
  );
}

function requireText(text, wanted, what) {
  if (!text.includes(wanted)) throw new Error(`${what} does not name ${wanted}:\n${text}`);
}

/** The packages of this workspace must do with what was packed. */
function requirePacked() {
  for (const name of packageNames) {
    const installed = realpathSync(join(place, "node_modules", name));
    if (!installed.startsWith(place))
      throw new Error(`${name} is the workspace's own at ${installed}, not the packed one`);
  }
}
