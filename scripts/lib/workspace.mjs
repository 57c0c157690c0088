// What the README's commands share: where the workspace is, and how to run one of its tools.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Words about progress, on standard error: what a command computes stays alone on standard output. */
export function notice(text) {
  process.stderr.write(`${text}\n`);
}

/** Runs a command in the root with the workspace's tools on the PATH; ends this process with its status if it fails. */
export function run(command, args, options = {}) {
  const status = runStatus(command, args, options);
  if (status !== 0) process.exit(status);
}

/** As `run`, but returns the exit status. `quiet`: what the command prints is shown only if it fails. */
export function runStatus(command, args, { quiet = false, env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: quiet ? ["ignore", "pipe", "pipe"] : "inherit",
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    shell: process.platform === "win32",
    env: { ...process.env, ...env, PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH}` },
  });
  if (result.error) {
    notice(`Cannot run ${command}: ${result.error.message}`);
    return 1;
  }
  if (quiet && result.status !== 0) notice(result.stdout + result.stderr);
  return result.status ?? 1;
}

/** Says what a long step does, and how long it took. */
export function timed(title, work) {
  notice(`${title} ...`);
  const start = performance.now();
  work();
  notice(`  done in ${((performance.now() - start) / 1000).toFixed(0)} s`);
}
