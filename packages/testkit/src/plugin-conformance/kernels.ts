import type { Operations } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";

/** One implementation of the operations, with the settings that must not change its results. */
export interface KernelVariant {
  /** Such as `native x86_avx2, 3 threads`. */
  readonly name: string;
  /** Variants of one family give the same bits; families may round differently. */
  readonly family: string;
  readonly operations: Operations;
}

/** What is used of `@winnow/kernels-native`, whose own type of instruction sets is unknown here. */
interface NativeModule {
  nativeStatus(): { readonly available: boolean; readonly instructionSets?: readonly string[] };
  loadNative(options: { threads: number; isa: never }): Operations;
}

/** Held in variables: the package is optional here, and its own tests depend on this one. */
const nativePackages = ["@winnow/kernels-native", "../../../kernels-native/dist/index.js"];

const reference: KernelVariant = { name: "reference", family: "reference", operations: createReference() };

let loaded: Promise<readonly KernelVariant[]> | undefined;

/**
 * The reference kernels and, where the native add-on loads, it with 1, 2 and 3 threads and with every instruction set of this processor. Made once.
 * `native`: the module `@winnow/kernels-native`; searched beside this package unless given.
 */
export function defaultKernels(native?: NativeModule): Promise<readonly KernelVariant[]> {
  loaded ??= loadVariants(native);
  return loaded;
}

async function loadVariants(given?: NativeModule): Promise<readonly KernelVariant[]> {
  const native = given ?? (await importNative());
  return native ? [reference, ...nativeVariants(native)] : [reference];
}

function nativeVariants(native: NativeModule): KernelVariant[] {
  const { instructionSets = [] } = native.nativeStatus();
  const settings = [
    ...[1, 2, 3].map((threads) => ({ threads, isa: "auto" })),
    ...instructionSets.slice(1).map((isa) => ({ threads: 2, isa })),
  ];
  return (instructionSets.length > 0 ? settings : []).map(({ threads, isa }) => ({
    name: `native ${isa}, ${threads} threads`,
    family: "native",
    operations: native.loadNative({ threads, isa: isa as never }),
  }));
}

async function importNative(): Promise<NativeModule | undefined> {
  for (const name of nativePackages) {
    try {
      return await import(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    }
  }
  return undefined;
}
