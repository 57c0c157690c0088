import type {
  CompressContext,
  MaskerContext,
  ModelShape,
  PluginDefinition,
  PluginKind,
  PrefillEndContext,
  WeightContext,
} from "@winnow/core";
import type { KernelVariant } from "./kernels.js";

/** What a plugin is tried with. Everything may be left out. */
export interface ConformanceSubject<Kind extends PluginKind = PluginKind> {
  /**
   * Options to try the method with, besides the defaults. Inputs are small (at most 200 tokens, matrices of at most 64 x 40), so give sizes at which the method
   * leaves something out; the required options must stand here.
   */
  readonly options?: Readonly<Record<string, unknown>>;
  /** The method again as plain loops; results must be equal. Receives the parsed options. */
  readonly oracle?: OracleOf<Kind>;
  /** KV pruners: the most tokens that a layer may keep or read of `length`, where the options promise it. */
  readonly budget?: (length: number) => number;
  /** Plugins that may stand in the options of this one. */
  readonly plugins?: readonly PluginDefinition[];
  /** Kernels under which results must agree; default: {@link defaultKernels}. */
  readonly kernels?: () => Promise<readonly KernelVariant[]>;
}

// biome-ignore lint/suspicious/noExplicitAny: each plugin has its own type of options
type Options = any;

/** Whether query head `head` keeps pair (query i, key j), j <= i. */
export type MaskOracle = (context: MaskerContext, options: Options) => (head: number, i: number, j: number) => boolean;

/** Ascending tokens of each KV head that stay after the prompt; undefined: all. */
export type KeptOracle = (context: PrefillEndContext, options: Options) => readonly (readonly number[])[] | undefined;

/** Ascending elements that stay of each row of `context[part]`, `[hKv, count]` rows; `context` holds the tokens that are compressed. */
export type ElementOracle = (
  context: CompressContext,
  part: "k" | "v",
  options: Options,
) => readonly (readonly number[])[];

/** `[out, in]`, row-major: 1 where the weight stays, 0 where it becomes zero. */
export type WeightOracle = (context: WeightContext, options: Options) => ArrayLike<number>;

export type OracleOf<Kind extends PluginKind> = Kind extends "masker" | "block-scorer"
  ? MaskOracle
  : Kind extends "kv-pruner" | "evict-scorer"
    ? KeptOracle
    : Kind extends "element-scorer"
      ? ElementOracle
      : Kind extends "weight-sparsifier" | "weight-scorer"
        ? WeightOracle
        : never;

/** A small model with grouped heads. */
export const smallModel: ModelShape = { layers: 4, queryHeads: 4, kvHeads: 2, headDim: 16, contextLength: 4096 };
