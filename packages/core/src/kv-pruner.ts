import type { ModelShape } from "./model-shape.js";
import type { Operations, TokenLists } from "./operations.js";
import type { KeptElements } from "./packed-rows.js";
import type { HeadTensor } from "./tensor.js";

/**
 * Decides what decoding reads from the KV cache (select), what stays in it (evict), and which elements of its rows are stored (compress).
 *
 * A pruner object remembers nothing. `createState` makes the state of one sequence; every hook receives it and may change it.
 * State must survive structured cloning: a sequence may continue in another worker.
 *
 * Order of calls: `afterPrefill`, then `compress`, once per layer at the end of the prompt; then for each token and each layer
 * `select`, attention, `observe` (if scores were asked for), `afterAttention`, `compress`.
 */
export interface KvPruner<State = unknown> {
  /** Last queries of the prompt that `afterPrefill` wants to see. */
  readonly observationQueries?: number;
  createState(): State;
  /** Tokens of the prompt that stay in this layer's cache; nothing returned: all stay. */
  afterPrefill?(context: PrefillEndContext, state: State): KeptTokens | undefined;
  /** What this layer reads in this step; absent: everything cached. */
  select?(context: DecodeContext, state: State): ReadPlan;
  /** Receives `[h, length]` scaled scores when `select` asked for them. */
  observe?(context: DecodeContext, state: State, scores: Float32Array): void;
  /** Tokens that stay after this step; nothing returned: all stay. */
  afterAttention?(context: DecodeContext, state: State): KeptTokens | undefined;
  /**
   * Tokens that are stored compressed from now on; nothing returned: none. From then on the layer reads everything: in it `select` may return
   * `{ read: "all" }` without scores only, and nothing can be evicted. The contexts of the other hooks show the uncompressed tokens.
   */
  compress?(context: CompressContext, state: State): CompressedTokens | undefined;
}

/** All of it is read-only. Tensors hold until the hook returns: their memory is used again, so copy what must stay. */
export interface PrefillEndContext {
  readonly model: ModelShape;
  readonly layer: number;
  /** `[h, w, d]` after RoPE: the last `w = min(n, observationQueries)` queries. */
  readonly q: HeadTensor;
  /** `[hKv, n, d]` after RoPE. */
  readonly k: HeadTensor;
  readonly v: HeadTensor;
  readonly scale: number;
  readonly primitives: Operations;
}

/** All of it is read-only: `k` is the cache itself, and writing into it changes the answer. */
export interface DecodeContext {
  readonly model: ModelShape;
  readonly layer: number;
  /** Decoded tokens before this one. */
  readonly step: number;
  /** True position of the new token in the text. */
  readonly position: number;
  /** `[h, 1, d]` after RoPE at the true position. */
  readonly q: HeadTensor;
  /** `[hKv, length, d]`: the cache with the new token last. */
  readonly k: HeadTensor;
  /** Cached tokens, the new one included (the largest count where heads differ). */
  readonly length: number;
  readonly scale: number;
  readonly primitives: Operations;
}

export interface CompressContext {
  readonly model: ModelShape;
  readonly layer: number;
  /** Decoded tokens before this one; absent at the end of the prompt. */
  readonly step?: number;
  /** `[hKv, m, d]` after RoPE: the tokens that are not compressed, oldest first. */
  readonly k: HeadTensor;
  readonly v: HeadTensor;
  /** Tokens of this layer that are compressed already; they came before those of `k` and never change. */
  readonly compressed: number;
  readonly primitives: Operations;
}

/**
 * The oldest uncompressed tokens, and the elements of their rows that are stored; all others count as 0. Every KV head must hold as many tokens
 * (a ragged eviction cannot be compressed), and a layer keeps the same number of elements each time.
 */
export interface CompressedTokens {
  /** 1..m - 1: at least one token stays uncompressed. */
  readonly count: number;
  readonly k: KeptElements;
  readonly v: KeptElements;
}

/** Ascending cache indices that stay, per KV head: head g keeps `indices[offsets[g] .. offsets[g + 1])`. */
export interface KeptTokens {
  readonly indices: Int32Array;
  readonly offsets: Int32Array;
}

export type ReadPlan =
  /** Every cached token; with `scores`, `observe` is called afterwards. */
  | { readonly read: "all"; readonly scores?: boolean }
  /** Lists per query head. */
  | { readonly read: "lists"; readonly lists: TokenLists }
  /**
   * All cached tokens, in parts [start, end) that see the query turned to different positions.
   * Keys keep the rotation they were stored with: that of their true position in the text.
   */
  | { readonly read: "parts"; readonly parts: readonly ReadPart[] };

export interface ReadPart {
  readonly start: number;
  readonly end: number;
  /** The query is rotated as if the new token stood here; `DecodeContext.position` leaves it as it is. */
  readonly queryPosition: number;
}

/** Small form of an evicting pruner: only scores tokens. `core` keeps the best, the forced ones, and breaks ties. */
export interface EvictScorer {
  readonly observationQueries?: number;
  /** First and last tokens that always stay. */
  readonly sinkTokens: number;
  readonly recentTokens: number;
  /** Tokens kept per KV head out of `length`, forced ones included. */
  budget(length: number): number;
  /** `[hKv, n]`; higher stays. Entries of forced tokens are ignored. */
  score(context: PrefillEndContext): Float32Array;
}

/**
 * Small form of a compressing pruner: only scores elements. `core` compresses whole groups of tokens and keeps the best elements of each row; ties go
 * to the lower index.
 */
export interface ElementScorer {
  /** The last tokens that are never compressed, at least 1. */
  readonly recentTokens: number;
  /**
   * Tokens that are compressed together, at least 1: after the prompt as many groups as fit before the recent tokens, then one whenever
   * `recentTokens + groupTokens` tokens are uncompressed.
   */
  readonly groupTokens: number;
  /** Elements stored of each row of K and of V, 1..d. */
  kept(d: number): { readonly k: number; readonly v: number };
  /**
   * `[hKv, count, d]` scores of `context[part]`; higher stays; NaN is refused. `context.k` and `context.v` hold only the `count` tokens that are compressed now:
   * one or more whole groups. How many come together must not change a score.
   */
  score(context: CompressContext, part: "k" | "v"): Float32Array;
}
