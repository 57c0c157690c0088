// What the README's commands share: install once, build what changed, run a tool of the workspace.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Runs a command in the root with the workspace's tools on the PATH; ends this process with its status if it fails. */
export function run(command, args, options = {}) {
  const result = runStatus(command, args, options);
  if (result !== 0) process.exit(result);
}

export function runStatus(command, args, { quiet = false, env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: quiet ? "pipe" : "inherit",
    encoding: "utf8",
    shell: process.platform === "win32",
    env: { ...process.env, ...env, PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH}` },
  });
  if (result.error) {
    console.error(`Cannot run ${command}: ${result.error.message}`);
    return 1;
  }
  if (quiet && result.status !== 0) console.error(result.stdout + result.stderr);
  return result.status ?? 1;
}

/** Installs dependencies unless node_modules already holds exactly what the lock file says. */
export function ensureInstalled() {
  requireNode();
  const lock = readFileSync(join(root, "pnpm-lock.yaml"), "utf8");
  const installed = join(root, "node_modules", ".pnpm", "lock.yaml");
  const binaries = join(root, "node_modules", ".bin", "turbo");
  if (existsSync(installed) && existsSync(binaries) && readFileSync(installed, "utf8") === lock) return;
  console.log("Installing dependencies (once) ...");
  run("npx", ["--yes", manifest.packageManager, "install", "--frozen-lockfile", "--reporter=append-only"], {
    env: { ONNXRUNTIME_NODE_INSTALL: "skip" },
  });
}

/** Builds the packages and the native add-on; unchanged ones come from the cache. */
export function ensureBuilt() {
  run("turbo", ["run", "build", "--output-logs=new-only", "--log-prefix=none", "--no-update-notifier"], {
    env: { TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" },
  });
}

function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(
    `Winnow needs Node.js 20.19 or newer, this is ${process.versions.node}. Install a newer Node.js and try again.`,
  );
  process.exit(1);
}
