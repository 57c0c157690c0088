import type { LinearWeight } from "./linear-weight.js";
import type { AttentionCost, Operations, PrefillAttention } from "./operations.js";
import type { FloatDtype } from "./tensor.js";

/** Operations that the planner assigns one by one; the rest of a family follows its package. */
export type OperationName =
  | "linear"
  | "prefillAttention"
  | "decodeAttention"
  | "packedAttention"
  | "elementwise"
  | "cache"
  | "primitives"
  | "linearAlgebra";

/** Methods of {@link Operations} behind each name. */
export const operationMethods = {
  linear: ["packWeight", "encodeWeight", "decodeWeight", "linear", "gatedLinear"],
  prefillAttention: ["prefillAttention"],
  decodeAttention: ["decodeAttention"],
  packedAttention: ["packTokens", "packedAttention"],
  elementwise: ["embed", "rmsNorm", "rope", "gatedActivation", "add"],
  cache: ["storeTokens", "gatherTokens"],
  primitives: [
    "scores",
    "softmaxRows",
    "columnSums",
    "diagonalSums",
    "poolMean",
    "outerScores",
    "topK",
    "topKRows",
    "prefixMass",
  ],
  linearAlgebra: ["accumulateGram", "inverseCholesky", "truncatedSvd", "multiplyAdd", "columnNorms"],
} as const satisfies Record<OperationName, readonly (keyof Operations)[]>;

/** What a kernel declares: which operation it runs on which operands. */
export interface KernelDescriptor {
  readonly operation: OperationName;
  /** Weight formats (linear) or mask forms (prefillAttention) that it takes; absent where the operation has no such choice. */
  readonly formats?: readonly string[];
  readonly dtypes: readonly FloatDtype[];
}

/** A set of kernels that load together. Higher `priority` is tried first. */
export interface KernelPackage {
  readonly id: string;
  readonly priority: number;
  readonly kernels: readonly KernelDescriptor[];
  /** Cheap, loads nothing: can it run here, and if not, why. */
  available(): { readonly available: true } | { readonly available: false; readonly reason: string };
  /** Instruction sets that can run here, best first, so that a forced one is checked before weights are read; absent: no choice. */
  instructionSets?(): readonly string[];
  /** In a worker. */
  load(options: KernelOptions): Promise<KernelInstance>;
}

export interface KernelOptions {
  readonly threads: number;
  /** Instruction set to force; `auto` takes the best. Packages without a choice ignore it. */
  readonly isa: string;
}

/** Operations as the layer loop of a worker sees them: two of them may be asynchronous, because a kernel package may be. */
export type LayerOperations = Omit<Operations, "linear" | "prefillAttention"> & {
  linear(...task: Parameters<Operations["linear"]>): number | Promise<number>;
  prefillAttention(task: PrefillAttention): AttentionCost | Promise<AttentionCost>;
};

export interface KernelInstance {
  /** For the receipt, e.g. `x86_avx512`. */
  readonly isa: string;
  readonly operations: Partial<LayerOperations>;
  /** Does ahead of time what the first `linear` with this weight would do. */
  prepareWeight?(weight: LinearWeight): Promise<void>;
  close(): void | Promise<void>;
}
