import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { manifest, notice, root, runStatus, timed } from "./workspace.mjs";

/** Installs dependencies unless node_modules already holds exactly what the lock file says. */
export function ensureInstalled() {
  requireNode();
  const installed = join(root, "node_modules", ".pnpm", "lock.yaml");
  const tool = join(root, "node_modules", ".bin", "turbo");
  const lock = readFileSync(join(root, "pnpm-lock.yaml"), "utf8");
  if (existsSync(tool) && existsSync(installed) && readFileSync(installed, "utf8") === lock) return;
  timed("Installing dependencies into node_modules (once)", install);
}

function install() {
  const status = runStatus(
    "npx",
    ["--yes", manifest.packageManager, "install", "--frozen-lockfile", "--config.confirmModulesPurge=false"],
    { quiet: true, env: { ONNXRUNTIME_NODE_INSTALL: "skip" } },
  );
  if (status === 0) return;
  notice("The dependencies could not be installed, for the reason above. This step needs the npm registry.");
  process.exit(status);
}

function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  notice(
    `Winnow needs Node.js 20.19 or newer, this is ${process.versions.node}. Install a newer Node.js and try again.`,
  );
  process.exit(1);
}
