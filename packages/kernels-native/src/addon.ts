import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { WinnowError } from "@winnow/core";

/** What `native/binding.cc` exports. Each operation takes one object with named fields and throws TypeError for a bad one. */
export interface NativeAddon {
  /** Those of this processor and this build, best first, by their short names: `avx512`, `avx2`, `generic`. */
  instructionSets(): string[];
  readonly Kernels: new (options: { threads: number; isa: string }) => NativeKernels;
}

type Call<Result = void> = (fields: object) => Result;

/** A thread pool with scratch memory, bound to one instruction set. */
export interface NativeKernels {
  close(): void;
  readonly packWeight: Call;
  readonly linear: Call;
  readonly linearPanels: Call;
  readonly linearGroups: Call;
  readonly quantizeWeight: Call;
  /** False if more than 2^32 - 1 weights are not zero. */
  readonly storeNonZeros: Call<boolean>;
  /** These return the first element, group, panel or row that is wrong, or -1. */
  readonly firstNotFinite: Call<number>;
  readonly encodeGroups: Call<number>;
  readonly wrongPanel: Call<number>;
  readonly wrongSum: Call<number>;
  readonly wrongPlaces: Call<number>;
  /** These return the bytes of the weight that were read, or -1 - r if a score in row r of x (of gate) is NaN. */
  readonly channelsLinear: Call<number>;
  readonly rowsLinear: Call<number>;
  readonly gatedLinear: Call<number>;
  readonly embed: Call;
  readonly rmsNorm: Call;
  readonly rope: Call;
  readonly gatedActivation: Call;
  readonly add: Call;
  readonly storeTokens: Call;
  readonly gatherTokens: Call;
  readonly prefillAttention: Call<NativeCost>;
  readonly decodeAttention: Call<NativeCost>;
  readonly packTokens: Call;
  readonly packedAttention: Call<NativeCost>;
  readonly scores: Call;
  readonly outerScores: Call;
  /** First row that holds NaN or +Infinity, or -1. */
  readonly softmaxRows: Call<number>;
  readonly columnSums: Call;
  readonly diagonalSums: Call;
  readonly poolMean: Call;
  /** False if a value is NaN. */
  readonly topKRows: Call<boolean>;
  /** How many indices were written, or -1 if a value is NaN. */
  readonly prefixMass: Call<number>;
  readonly accumulateGram: Call;
  /** The column without a positive pivot, or -1. */
  readonly inverseCholesky: Call<number>;
  readonly truncatedSvd: Call;
  readonly multiplyAdd: Call;
  readonly columnNorms: Call;
  /** Place of the first NaN or infinity of a matrix, or -1. */
  readonly firstNonFinite: Call<number>;
}

interface NativeCost {
  cellsComputed: number;
  bytesRead: number;
  cancelled: boolean;
}

/** One place where the add-on was looked for, and why it was not loaded from there. */
interface Attempt {
  readonly path: string;
  readonly found: boolean;
  readonly cause: string;
}

export type LoadedAddon =
  | { readonly addon: NativeAddon; readonly path: string }
  | { readonly attempts: readonly Attempt[]; readonly reason: string };

const packageFolder = join(import.meta.dirname, "..");
const require = createRequire(import.meta.url);

/** Loads the add-on that was built here, else the prebuilt one for this platform. Never throws. */
export function findAddon(folder = packageFolder): LoadedAddon {
  const platform = `${process.platform}-${process.arch}`;
  const attempts: Attempt[] = [];
  for (const place of ["build", join("prebuilds", platform)]) {
    const path = join(folder, place, "winnow_native.node");
    if (!existsSync(path)) {
      attempts.push({ path, found: false, cause: "there is no such file" });
      continue;
    }
    try {
      return { addon: require(path) as NativeAddon, path };
    } catch (error) {
      attempts.push({ path, found: true, cause: error instanceof Error ? error.message : String(error) });
    }
  }
  return { attempts, reason: reasonOf(folder, platform, attempts) };
}

/** The error for a caller who needs the add-on: platform, each attempt with its cause, steps that fit the causes. */
export function loadError(failed: Extract<LoadedAddon, { attempts: unknown }>): WinnowError {
  const attempts = failed.attempts.map(({ path, cause }) => `  ${path}: ${cause}`).join("\n");
  return new WinnowError(
    "ERR_NATIVE_LOAD",
    `Cannot load the native kernels on ${process.platform}-${process.arch}: ${failed.reason}\n${attempts}`,
  );
}

function reasonOf(folder: string, platform: string, attempts: readonly Attempt[]): string {
  const unavailable = join(folder, "build", "unavailable.json");
  const rebuild = "run the package's build script (node scripts/build.mjs)";
  if (attempts.some((attempt) => attempt.found)) {
    return `an add-on was found but does not load. If it was built for another platform, Node or C library than ${platform}, ${rebuild} here.`;
  }
  if (existsSync(unavailable)) {
    const { reason } = JSON.parse(readFileSync(unavailable, "utf8")) as { reason: string };
    return `${reason}. Install a C++17 compiler or set CXX, then ${rebuild}.`;
  }
  return `it was not built yet. With a C++17 compiler installed, ${rebuild}.`;
}
