import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const reason = "no C++ compiler was found when the package was built (looked for $CXX, c++, g++, clang++)";

export const noCompiler = "No C++ compiler was found (looked for $CXX, c++, g++, clang++).";

/** Without a compiler the package still installs: the runtime then runs a prebuilt add-on or other kernels and says so. */
export function markUnavailable(root) {
  mkdirSync(join(root, "build"), { recursive: true });
  // An add-on of an earlier build may be older than its sources.
  rmSync(join(root, "build", "winnow_native.node"), { force: true });
  writeFileSync(join(root, "build", "unavailable.json"), `${JSON.stringify({ reason }, null, 2)}\n`);
  console.warn(existsSync(prebuilt(root)) ? `${noCompiler} The prebuilt native kernels are used.` : withoutNative());
}

export function markAvailable(root) {
  rmSync(join(root, "build", "unavailable.json"), { force: true });
}

/** Copies the add-on to where the loader looks for binaries that were not built on the spot. */
export function pack(root, addon) {
  mkdirSync(join(prebuilt(root), ".."), { recursive: true });
  copyFileSync(addon, prebuilt(root));
}

export function howToInstall() {
  if (process.platform === "win32") return "Native kernels are not supported on Windows yet: use WSL.";
  const command =
    process.platform === "darwin"
      ? "xcode-select --install"
      : "Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; Alpine: apk add g++";
  return `To build the native kernels, install one with C++17 (${command}), or set CXX, and run the build again.`;
}

function prebuilt(root) {
  return join(root, "prebuilds", `${process.platform}-${process.arch}`, "winnow_native.node");
}

function withoutNative() {
  return (
    `${noCompiler} Everything works without the native kernels, on slower ones in TypeScript and ONNX Runtime, but long ` +
    `prompts become impractical. ${howToInstall()}`
  );
}
