import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageFolders, stateOfInputs } from "./inputs.mjs";
import { notice, root, run, runStatus, timed } from "./workspace.mjs";

const stamp = join(root, "node_modules", ".cache", "winnow", "built");
const native = join(root, "packages", "kernels-native");

/** Builds packages and native kernels, unless nothing changed since the last time: asking the build tools takes seconds. */
export function ensureBuilt() {
  const state = stateOfInputs();
  if (outputsExist() && existsSync(stamp) && readFileSync(stamp, "utf8") === state) return;
  timed("Building the packages", buildPackages);
  timed("Building the native kernels (the first time takes a minute or two)", buildNative);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, state);
}

function buildPackages() {
  run("turbo", ["run", "build", "--output-logs=errors-only", "--log-order=grouped", "--no-update-notifier"], {
    quiet: true,
    env: { TURBO_TELEMETRY_DISABLED: "1", TURBO_PRINT_VERSION_DISABLED: "1", DO_NOT_TRACK: "1" },
  });
}

function buildNative() {
  const status = runStatus(process.execPath, [join(native, "scripts", "build.mjs")]);
  if (status === 0) return;
  notice("The native kernels could not be built, for the reason above. CXX chooses another compiler.");
  process.exit(status);
}

function outputsExist() {
  const outcomes = ["winnow_native.node", "unavailable.json"].map((name) => join(native, "build", name));
  return packageFolders().every((folder) => existsSync(join(folder, "dist"))) && outcomes.some(existsSync);
}
