import type { Mask } from "./mask.js";
import type { ModelShape } from "./model-shape.js";
import type { Primitives } from "./operations.js";
import type { HeadTensor } from "./tensor.js";

/**
 * Chooses, for one layer of a prompt, which query-key pairs attention computes. Stateless: everything arrives in the context.
 */
export interface Masker {
  /**
   * One mask per head of `context.heads`, in order, or a single mask for all of them.
   * Called once per layer, after RoPE, before attention.
   */
  plan(context: MaskerContext): readonly Mask[];
}

/** All of it is read-only. Tensors hold until `plan` returns: their memory is used again, so copy what must stay. */
export interface MaskerContext {
  readonly model: ModelShape;
  readonly layer: number;
  /** Query heads [start, end) that this call plans for. */
  readonly heads: { readonly start: number; readonly end: number };
  /** `[h, n, d]` after RoPE, float32; all heads, index with the absolute head number. */
  readonly q: HeadTensor;
  /** `[hKv, n, d]` after RoPE, in the cache's type. */
  readonly k: HeadTensor;
  /** Softmax scale, usually 1 / sqrt(d). */
  readonly scale: number;
  readonly primitives: Primitives;
}

/**
 * Small form of a masker: only scores blocks. `core` keeps the best `keepBlocks` of each query block, the forced ones, and breaks ties.
 */
export interface BlockScorer {
  readonly blockSize: number;
  /** Key blocks kept per query block. */
  readonly keepBlocks: number;
  /** First key blocks that are always kept. */
  readonly sinkBlocks: number;
  /** Last key blocks up to the diagonal that are always kept; >= 1, so that a row always keeps itself. */
  readonly recentBlocks: number;
  /** `[blocks, blocks]` for one query head, row-major; higher is better; cells above the diagonal are ignored. */
  score(context: MaskerContext, head: number): Float32Array;
}
