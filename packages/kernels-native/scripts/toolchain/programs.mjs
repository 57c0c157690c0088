import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CompileError, compileUnits } from "./compile.mjs";
import { linkProgram } from "./link.mjs";

/** Builds and runs the `kind` programs ("test" or "bench") of every operation, or of one, with arguments. */
export async function runPrograms(build, units, kind, [operation, ...programArguments]) {
  const nameOf = (unit) => basename(dirname(unit));
  const chosen = units[kind].filter((unit) => operation === undefined || nameOf(unit) === operation);
  if (chosen.length === 0) {
    const known = units[kind].map(nameOf).join(", ");
    throw new CompileError(`No native/${operation}/${kind}.cc. There is one for: ${known}.`);
  }
  const library = await compileUnits(build, units.library);
  const mains = await compileUnits(build, chosen);
  mkdirSync(join(build.folder, kind), { recursive: true });
  for (const [i, unit] of chosen.entries()) {
    const program = join(build.folder, kind, nameOf(unit));
    await linkProgram(build, [mains[i], ...library], program);
    console.log(`native/${nameOf(unit)}/${kind}.cc`);
    const { status, signal } = spawnSync(program, programArguments, { stdio: "inherit" });
    if (status !== 0)
      throw new CompileError(`native/${nameOf(unit)}/${kind}.cc failed (${signal ?? `exit status ${status}`}).`);
  }
}
