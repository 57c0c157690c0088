import { spawnSync } from "node:child_process";
import { CompileError } from "./compile.mjs";
import { avx512Flags } from "./flags.mjs";

/**
 * First compiler that runs, of $CXX, c++, g++, clang++; undefined if there is none.
 * A $CXX that does not run is an error: somebody wanted that one.
 */
export function findCompiler(environment) {
  const wanted = environment.CXX?.trim();
  const candidates = wanted ? [wanted] : ["c++", "g++", "clang++"];
  for (const candidate of candidates) {
    const [command, ...prefix] = candidate.split(/\s+/);
    const version = spawnSync(command, [...prefix, "--version"], { encoding: "utf8" });
    if (version.status === 0) return describe(candidate, command, prefix, version.stdout);
  }
  if (wanted)
    throw new CompileError(
      `CXX names "${wanted}", which does not run. Correct it, or unset it to let the build find a compiler.`,
    );
  return undefined;
}

function describe(name, command, prefix, version) {
  const x86 = process.arch === "x64";
  // Probed on every build: 20 ms, and no cache that could be stale after a compiler update.
  const avx512 = x86 && accepts(command, prefix, avx512Flags);
  return { name, command, prefix, version, x86, avx512 };
}

function accepts(command, prefix, flags) {
  const probe = spawnSync(command, [...prefix, ...flags, "-x", "c++", "-fsyntax-only", "-"], { input: "int x;\n" });
  return probe.status === 0;
}
