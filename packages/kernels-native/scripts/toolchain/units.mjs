import { readdirSync } from "node:fs";
import { basename, join } from "node:path";

/**
 * Translation units by role, as sorted absolute paths: `library` computes, `binding` is the Node side,
 * `test` and `bench` are programs of their own.
 */
export function listUnits(root, compiler) {
  const sources = readdirSync(join(root, "native"), { recursive: true })
    .filter((name) => name.endsWith(".cc"))
    .sort()
    .map((name) => join(root, "native", name));
  const named = (name) => sources.filter((path) => basename(path) === name);
  const programs = ["test.cc", "bench.cc", "binding.cc"];
  const library = sources.filter((path) => !programs.includes(basename(path)) && fits(basename(path), compiler));
  return { library, binding: named("binding.cc"), test: named("test.cc"), bench: named("bench.cc") };
}

function fits(name, compiler) {
  if (name === "x86_avx512.cc") return compiler.avx512;
  return !name.startsWith("x86_") || compiler.x86;
}
