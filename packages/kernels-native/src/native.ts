import { availableParallelism } from "node:os";
import { type Operations, WinnowError } from "@winnow/core";
import { findAddon, loadError, type NativeAddon } from "./addon.js";
import { checkInteger } from "./check.js";
import { guard } from "./guard.js";
import { algebraOperations } from "./operations/algebra.js";
import { attentionOperations } from "./operations/attention.js";
import { cacheOperations } from "./operations/cache.js";
import { channelOperations } from "./operations/channels.js";
import { elementwiseOperations } from "./operations/elementwise.js";
import { linearOperations } from "./operations/linear.js";
import { packedOperations } from "./operations/packed.js";
import { primitiveOperations } from "./operations/primitives.js";

/** Instruction sets that kernels are compiled for, best first. */
export const instructionSets = ["x86_avx512", "x86_avx2", "generic"] as const;

export type InstructionSet = (typeof instructionSets)[number];

export interface NativeOptions {
  /** Threads of one operation, the calling one included. Default: what the machine offers. */
  readonly threads?: number;
  /** `auto`: the best that processor and build support. */
  readonly isa?: InstructionSet | "auto";
}

/** All operations of `@winnow/core`, in C++. Results have the same bits for every instruction set and number of threads. */
export interface NativeOperations extends Operations {
  readonly isa: InstructionSet;
  readonly threads: number;
  /** Ends the threads and frees scratch memory. Later calls throw ERR_ENGINE_CLOSED. */
  close(): void;
}

export type NativeStatus =
  | { readonly available: true; readonly path: string; readonly instructionSets: readonly InstructionSet[] }
  | { readonly available: false; readonly reason: string };

/** Whether the add-on loads here, and with which instruction sets, best first; if not, why. Never throws. */
export function nativeStatus(): NativeStatus {
  const loaded = findAddon();
  if (!("addon" in loaded)) return { available: false, reason: loaded.reason };
  return { available: true, path: loaded.path, instructionSets: supportedSets(loaded.addon) };
}

/**
 * Starts threads and returns the operations. Any number may exist side by side, in every worker thread.
 * Throws ERR_NATIVE_LOAD without an add-on, ERR_ISA_UNSUPPORTED for an instruction set that processor or build lack,
 * ERR_OPERATION_ARGUMENT for a bad number of threads.
 */
export function loadNative({ threads = availableParallelism(), isa = "auto" }: NativeOptions = {}): NativeOperations {
  checkInteger("loadNative", "threads", threads, 1, 1024);
  const loaded = findAddon();
  if (!("addon" in loaded)) throw loadError(loaded);
  const chosen = chooseSet(isa, supportedSets(loaded.addon));
  const kernels = guard(new loaded.addon.Kernels({ threads, isa: shortName(chosen) }));
  return {
    isa: chosen,
    threads,
    close: kernels.close,
    ...linearOperations(kernels),
    ...channelOperations(kernels),
    ...elementwiseOperations(kernels),
    ...cacheOperations(kernels),
    ...attentionOperations(kernels),
    ...packedOperations(kernels),
    ...primitiveOperations(kernels),
    ...algebraOperations(kernels),
  };
}

function supportedSets(addon: NativeAddon): InstructionSet[] {
  const names = addon.instructionSets();
  return instructionSets.filter((isa) => names.includes(shortName(isa)));
}

/** The C++ side calls them `avx512`, `avx2` and `generic`. */
function shortName(isa: InstructionSet): string {
  return isa.replace(/^x86_/, "");
}

function chooseSet(isa: InstructionSet | "auto", supported: readonly InstructionSet[]): InstructionSet {
  if (isa === "auto") return supported[0];
  if (supported.includes(isa)) return isa;
  const known = instructionSets.includes(isa) ? "" : ` There is no such set; known are ${instructionSets.join(", ")}.`;
  throw new WinnowError(
    "ERR_ISA_UNSUPPORTED",
    `Cannot run the native kernels on ${isa}: this processor and build support ${supported.join(", ")}.${known} Choose one of these, or auto.`,
  );
}
