import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

/** A failure of the compiler or the linker; the message is its output. */
export class CompileError extends Error {}

/**
 * Objects of `units`, compiling only those whose source, headers, flags or compiler changed since the last build.
 * Headers of a unit are those that the compiler reported when it last compiled it.
 */
export async function compileUnits(build, units) {
  const objects = units.map((unit) => join(build.folder, "objects", objectName(build, unit)));
  const stale = units.map((unit, i) => [unit, objects[i]]).filter(([unit, object]) => !isFresh(build, unit, object));
  if (stale.length > 0) mkdirSync(join(build.folder, "objects"), { recursive: true });
  const failures = [];
  const next = async () => {
    for (let job = stale.shift(); job; job = stale.shift()) {
      const failure = await compileUnit(build, ...job);
      if (failure) failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: build.jobs }, next));
  if (failures.length > 0) throw new CompileError(failures.join("\n"));
  return objects;
}

/** Runs a program; resolves to its exit status and what it printed. */
export function runTool(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args);
    let output = "";
    child.stdout.on("data", (text) => (output += text));
    child.stderr.on("data", (text) => (output += text));
    child.on("error", (error) => resolve({ status: -1, output: String(error) }));
    child.on("close", (status) => resolve({ status, output }));
  });
}

/** Hash of the contents of files (a missing one counts as empty) and of strings beside them. */
export function hashOf(files, strings) {
  const hash = createHash("sha256").update(JSON.stringify(strings));
  for (const file of files) hash.update(`\n${file}\n`).update(existsSync(file) ? readFileSync(file) : "");
  return hash.digest("hex");
}

/** Other processes may build at the same time or have the file mapped: replaced as a whole, never written in place. */
export function temporaryName(path) {
  return `${path}.${process.pid}.tmp`;
}

function objectName(build, unit) {
  return `${relative(join(build.root, "native"), unit).replace(/[\\/]/g, "-")}.o`;
}

function keyOf(build, unit, headers) {
  return hashOf([unit, ...headers], [build.compiler.name, build.compiler.version, build.flags(unit)]);
}

function isFresh(build, unit, object) {
  if (!existsSync(object) || !existsSync(`${object}.json`)) return false;
  const { key, headers } = JSON.parse(readFileSync(`${object}.json`, "utf8"));
  return key === keyOf(build, unit, headers);
}

async function compileUnit(build, unit, object) {
  const { command, prefix } = build.compiler;
  const temporary = temporaryName(object);
  const args = [...prefix, ...build.flags(unit), "-I", join(build.root, "native"), "-MMD", "-MF", `${temporary}.d`];
  const { status, output } = await runTool(command, [...args, "-c", unit, "-o", temporary]);
  if (status !== 0) {
    rmSync(temporary, { force: true });
    rmSync(`${temporary}.d`, { force: true });
    return `Cannot compile ${relative(build.root, unit)}:\n${output}`;
  }
  if (output) console.warn(output);
  const headers = headersIn(readFileSync(`${temporary}.d`, "utf8")).filter((path) => path !== unit);
  rmSync(`${temporary}.d`);
  renameSync(temporary, object);
  writeFileSync(`${object}.json`, JSON.stringify({ key: keyOf(build, unit, headers), headers }));
  return undefined;
}

/** Paths of a dependency file as compilers write it for make: `object: path path \`, spaces in paths escaped. */
function headersIn(text) {
  const [, ...list] = text.replace(/\\\r?\n/g, " ").match(/(?:\\ |\S)+/g) ?? [];
  return list.map((path) => path.replace(/\\ /g, " "));
}
