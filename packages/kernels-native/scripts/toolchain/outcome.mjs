import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Without a compiler the package still installs: the runtime then runs the TypeScript kernels and says so. */
export function markUnavailable(root) {
  const reason = "no C++ compiler was found when the package was built (looked for $CXX, c++, g++, clang++)";
  mkdirSync(join(root, "build"), { recursive: true });
  // An add-on of an earlier build may be older than its sources.
  rmSync(join(root, "build", "winnow_native.node"), { force: true });
  writeFileSync(join(root, "build", "unavailable.json"), `${JSON.stringify({ reason }, null, 2)}\n`);
  console.warn(
    `The native kernels of Winnow were not built: ${reason}. Everything works without them, on TypeScript kernels that are about a ` +
      `hundred times slower, so long prompts become impractical. To build them, install a compiler with C++17 (${howToInstall()}), ` +
      "or set CXX, and run the build again.",
  );
}

export function markAvailable(root) {
  rmSync(join(root, "build", "unavailable.json"), { force: true });
}

/** Copies the add-on to where the loader looks for binaries that were not built on the spot. */
export function pack(root, addon) {
  const folder = join(root, "prebuilds", `${process.platform}-${process.arch}`);
  mkdirSync(folder, { recursive: true });
  copyFileSync(addon, join(folder, "winnow_native.node"));
}

function howToInstall() {
  if (process.platform === "darwin") return "xcode-select --install";
  if (process.platform === "win32") return "not supported on Windows yet: use WSL";
  return "Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; Alpine: apk add g++";
}
