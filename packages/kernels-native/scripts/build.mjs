#!/usr/bin/env node
// Builds the add-on with a C++17 compiler and nothing else: no node-gyp, Python, make or download.
//
//   node scripts/build.mjs              build/winnow_native.node
//   node scripts/build.mjs --prebuild   also prebuilds/<platform>-<arch>/winnow_native.node
//   node scripts/build.mjs --test       builds and runs every native/*/test.cc
//   node scripts/build.mjs --bench OP   builds and runs native/OP/bench.cc
//   node scripts/build.mjs --sanitize   the tests under AddressSanitizer and UndefinedBehaviorSanitizer
//
// Environment: CXX (compiler, arguments allowed), CXXFLAGS (added to every compilation).
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CompileError, compileUnits } from "./toolchain/compile.mjs";
import { findCompiler } from "./toolchain/compiler.mjs";
import { flagsFor, linkFlags } from "./toolchain/flags.mjs";
import { linkProgram } from "./toolchain/link.mjs";
import { markAvailable, markUnavailable, pack } from "./toolchain/outcome.mjs";
import { runPrograms } from "./toolchain/programs.mjs";
import { listUnits } from "./toolchain/units.mjs";

const root = join(import.meta.dirname, "..");

async function main() {
  const options = readArguments();
  const compiler = findCompiler(process.env);
  if (!compiler) return markUnavailable(root);
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
  if (options.test || options.sanitize) return runPrograms(build, units, "test");
  if (options.bench) return runPrograms(build, units, "bench", options.bench);
  const objects = await compileUnits(build, units.library.concat(units.binding));
  const addon = join(build.folder, "winnow_native.node");
  await linkProgram(build, objects, addon, { addon: true });
  markAvailable(root);
  if (options.prebuild) pack(root, addon);
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        prebuild: { type: "boolean", default: false },
        test: { type: "boolean", default: false },
        sanitize: { type: "boolean", default: false },
        bench: { type: "string" },
      },
    }).values;
  } catch (error) {
    console.error(`${error.message}. Options: --prebuild, --test, --sanitize, --bench <operation>.`);
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
