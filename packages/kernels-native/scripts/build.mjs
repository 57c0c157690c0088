#!/usr/bin/env node
// Builds the add-on with a C++17 compiler and nothing else: no node-gyp, Python, make or download.
//
//   node scripts/build.mjs                        build/winnow_native.node
//   node scripts/build.mjs --prebuild             also prebuilds/<platform>-<arch>/winnow_native.node
//   node scripts/build.mjs --test [OP]            builds and runs native/*/test.cc, or that of one operation
//   node scripts/build.mjs --sanitize [OP]        the tests under AddressSanitizer and UndefinedBehaviorSanitizer
//   node scripts/build.mjs --bench [OP [ARG...]]  builds and runs native/*/bench.cc with arguments
//
// Environment: CXX (compiler, arguments allowed), CXXFLAGS (added to every compilation).
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CompileError, compileUnits } from "./toolchain/compile.mjs";
import { findCompiler } from "./toolchain/compiler.mjs";
import { flagsFor, linkFlags } from "./toolchain/flags.mjs";
import { linkProgram } from "./toolchain/link.mjs";
import { howToInstall, markAvailable, markUnavailable, noCompiler, pack } from "./toolchain/outcome.mjs";
import { runPrograms } from "./toolchain/programs.mjs";
import { listUnits } from "./toolchain/units.mjs";

const root = join(import.meta.dirname, "..");

async function main() {
  const { values: options, positionals } = readArguments();
  const compiler = findCompiler(process.env);
  if (!compiler) return withoutCompiler(options);
  if (!compiler.avx512 && compiler.x86) {
    console.warn(`${compiler.name} does not know the AVX-512 BF16 flags: building without the x86_avx512 kernels.`);
  }
  const build = {
    root,
    compiler,
    folder: join(root, "build", ...(options.sanitize ? ["sanitize"] : [])),
    jobs: availableParallelism(),
    flags: (unit) => flagsFor(unit, compiler, options),
    linkFlags: linkFlags(options),
  };
  const units = listUnits(root, compiler);
  if (options.test || options.sanitize) return runPrograms(build, units, "test", positionals);
  if (options.bench) return runPrograms(build, units, "bench", positionals);
  const objects = await compileUnits(build, units.library.concat(units.binding));
  const addon = join(build.folder, "winnow_native.node");
  await linkProgram(build, objects, addon, { addon: true });
  markAvailable(root);
  if (options.prebuild) pack(root, addon);
}

/** Programs need a compiler; the add-on does not, since everything runs without it. */
function withoutCompiler({ test, sanitize, bench, prebuild }) {
  if (test || sanitize || bench || prebuild) throw new CompileError(`${noCompiler} ${howToInstall()}`);
  markUnavailable(root);
}

function readArguments() {
  const flag = { type: "boolean", default: false };
  try {
    const options = { prebuild: flag, test: flag, sanitize: flag, bench: flag };
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    console.error(
      `${error.message}. Options: --prebuild, --test [operation], --sanitize [operation], --bench [operation].`,
    );
    process.exit(1);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof CompileError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
