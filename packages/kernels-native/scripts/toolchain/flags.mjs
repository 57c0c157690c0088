import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const common = [
  "-std=c++17",
  "-fPIC",
  "-pthread",
  // Same bits on every instruction set: the compiler must not fuse a * b + c on its own.
  "-ffp-contract=off",
  "-fno-math-errno",
  "-fvisibility=hidden",
  "-Wall",
  "-Wextra",
];

const avx2Flags = ["-mavx2", "-mfma", "-mf16c", "-mpopcnt"];
const avx512Parts = ["f", "bw", "vl", "dq", "bf16", "vnni", "vbmi2"];
export const avx512Flags = [...avx512Parts.map((part) => `-mavx512${part}`), ...avx2Flags];
const sanitizeFlags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g"];

/** Extra flags of one translation unit; its file name says which instruction set it may use. */
const flagsByName = { "x86_avx2.cc": avx2Flags, "x86_avx512.cc": avx512Flags };

export function flagsFor(unit, compiler, { sanitize }) {
  return [
    ...common,
    ...(sanitize ? ["-O1", ...sanitizeFlags] : ["-O3"]),
    ...(compiler.x86 ? [] : ["-DWINNOW_NO_X86"]),
    ...(compiler.avx512 ? [] : ["-DWINNOW_NO_AVX512"]),
    ...(flagsByName[basename(unit)] ?? []),
    ...(basename(unit) === "binding.cc" ? nodeHeaders() : []),
    ...(process.env.CXXFLAGS?.split(/\s+/).filter(Boolean) ?? []),
  ];
}

export function linkFlags({ sanitize }) {
  return ["-pthread", ...(sanitize ? sanitizeFlags : [])];
}

/** Only the binding sees Node: what computes stays usable without it. */
function nodeHeaders() {
  const headers = join(fileURLToPath(import.meta.resolve("node-api-headers")), "..", "include");
  const wrapper = join(fileURLToPath(import.meta.resolve("node-addon-api")), "..");
  return [
    "-isystem",
    headers,
    "-isystem",
    wrapper,
    "-DNAPI_VERSION=8",
    "-DNAPI_CPP_EXCEPTIONS",
    // A worker may end amid a call; then nothing can be thrown into it any more, which must not abort the process.
    "-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
  ];
}
