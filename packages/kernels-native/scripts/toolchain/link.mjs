import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { CompileError, hashOf, runTool, temporaryName } from "./compile.mjs";

/** Links `objects` into `path`, unless it was linked from the same objects already. */
export async function linkProgram(build, objects, path, { addon = false } = {}) {
  const { command, prefix, version } = build.compiler;
  const flags = [...build.linkFlags, ...(addon ? addonFlags() : [])];
  const key = hashOf(objects, [version, flags]);
  const record = `${path}.json`;
  if (existsSync(path) && existsSync(record) && readFileSync(record, "utf8") === key) return;
  const temporary = temporaryName(path);
  const { status, output } = await runTool(command, [...prefix, ...objects, ...flags, "-o", temporary]);
  if (status !== 0) throw new CompileError(`Cannot link ${relative(build.root, path)}:\n${output}`);
  if (addon) requireLoadable(temporary);
  renameSync(temporary, path);
  writeFileSync(record, key);
}

/** Undefined symbols are no error for the linker of a shared library, since Node has some of them: only loading tells. */
function requireLoadable(path) {
  const script = "process.dlopen({ exports: {} }, process.argv[1])";
  const { status, stderr } = spawnSync(process.execPath, ["-e", script, path], { encoding: "utf8" });
  if (status === 0) return;
  rmSync(path);
  throw new CompileError(`The add-on was linked but does not load:\n${stderr}`);
}

/** Node's own symbols are found when it loads the add-on. */
function addonFlags() {
  return process.platform === "darwin" ? ["-bundle", "-undefined", "dynamic_lookup"] : ["-shared"];
}
