import { bandMask, denseMask, type HeadTensor, headsFirst, sliceTokens, tokensFirst, WinnowError } from "@winnow/core";
import type { Decoder, ResidualRows } from "./decoder.js";
import { createRopeTable, type RopeTable } from "./rope.js";

/**
 * One sequence through the decoder with plain attention and a float32 cache: the yardstick that sparse runs are compared with.
 * Sliding-window layers read their window only. Memory: O(layers * capacity * hKv * d) for the cache.
 */
export class DenseSequence {
  private readonly cache: { readonly k: HeadTensor; readonly v: HeadTensor }[];
  private readonly table: RopeTable;
  private length = 0;

  constructor(
    private readonly decoder: Decoder,
    private readonly capacity: number,
  ) {
    const { layers, kvHeads, headDim, rope } = decoder.config;
    const empty = () => headsFirst(new Float32Array(kvHeads * capacity * headDim), kvHeads, capacity, headDim);
    this.cache = Array.from({ length: layers }, () => ({ k: empty(), v: empty() }));
    this.table = createRopeTable(rope, headDim, capacity);
  }

  /**
   * Runs the next tokens: the whole prompt at first, then one at a time. Returns the residual stream after the last layer, `[ids.length, hiddenSize]`.
   * `onLayer` sees the residual stream before each layer (and must not keep it). The last `sparseRows` of the tokens use the selections of the weights.
   */
  async append(
    ids: Int32Array,
    { onLayer, sparseRows = 0 }: { onLayer?(layer: number, residual: Float32Array): void; sparseRows?: number } = {},
  ): Promise<Float32Array> {
    this.checkLength(ids.length);
    const { config } = this.decoder;
    const rows = ids.length;
    const residual = new Float32Array(rows * config.hiddenSize);
    this.decoder.embed(ids, residual);
    const positions = Int32Array.from({ length: rows }, (_, row) => this.length + row);
    const q = new Float32Array(rows * config.queryHeads * config.headDim);
    const k = new Float32Array(rows * config.kvHeads * config.headDim);
    const v = new Float32Array(k.length);
    for (let layer = 0; layer < config.layers; layer++) {
      onLayer?.(layer, residual);
      const at = { layer, residual, rows, sparseRows };
      await this.decoder.attentionInputs(at, positions, this.table, { q, k, v });
      await this.attend(layer, rows, q, k, v);
      await this.decoder.attentionOutput(at, q);
      await this.decoder.mlp(at);
    }
    this.length += rows;
    return residual;
  }

  /** Stores k and v, then overwrites q with the attention output. */
  private async attend(layer: number, rows: number, q: Float32Array, k: Float32Array, v: Float32Array): Promise<void> {
    const { ops, config } = this.decoder;
    const { queryHeads, kvHeads, headDim } = config;
    const window = config.slidingWindow[layer];
    const cache = this.cache[layer];
    ops.storeTokens(tokensFirst(k, kvHeads, rows, headDim), cache.k, this.length);
    ops.storeTokens(tokensFirst(v, kvHeads, rows, headDim), cache.v, this.length);
    const end = this.length + rows;
    const first = rows === 1 && window !== null ? Math.max(0, end - window) : 0;
    const queries = tokensFirst(q, queryHeads, rows, headDim);
    const task = {
      q: queries,
      k: sliceTokens(cache.k, first, end),
      v: sliceTokens(cache.v, first, end),
      out: queries,
      scale: 1 / Math.sqrt(headDim),
    };
    if (this.length > 0) ops.decodeAttention(task);
    else {
      const mask = window === null ? denseMask : bandMask({ sinkTokens: 0, recentTokens: window });
      await ops.prefillAttention({ ...task, masks: [mask] });
    }
  }

  private checkLength(rows: number): void {
    if (rows < 1 || this.length + rows > this.capacity) {
      throw new WinnowError(
        "ERR_PROMPT",
        `Cannot run ${rows} more tokens: between 1 and ${this.capacity - this.length} still fit into this sequence of ${this.capacity}.`,
      );
    }
    if (this.length > 0 && rows !== 1) {
      throw new WinnowError("ERR_PROMPT", `Cannot run ${rows} tokens after the prompt: they must come one at a time.`);
    }
  }
}

/**
 * One layer over a whole sequence that starts at position 0, in place: dense causal attention, or the layer's window. The forward pass of calibration and
 * evaluation, where no cache is kept. `table` must hold `rows` positions. O(rows^2) time, O(rows) memory.
 */
export async function runLayer(decoder: Decoder, at: ResidualRows, table: RopeTable): Promise<void> {
  const { queryHeads, kvHeads, headDim, slidingWindow } = decoder.config;
  const q = new Float32Array(at.rows * queryHeads * headDim);
  const k = new Float32Array(at.rows * kvHeads * headDim);
  const v = new Float32Array(k.length);
  const positions = Int32Array.from({ length: at.rows }, (_, row) => row);
  await decoder.attentionInputs(at, positions, table, { q, k, v });
  const queries = tokensFirst(q, queryHeads, at.rows, headDim);
  const window = slidingWindow[at.layer];
  await decoder.ops.prefillAttention({
    q: queries,
    k: tokensFirst(k, kvHeads, at.rows, headDim),
    v: tokensFirst(v, kvHeads, at.rows, headDim),
    out: queries,
    scale: 1 / Math.sqrt(headDim),
    masks: [window === null ? denseMask : bandMask({ sinkTokens: 0, recentTokens: window })],
    ...(at.cancel && { cancel: at.cancel }),
  });
  await decoder.attentionOutput(at, q);
  await decoder.mlp(at);
}

/** Logits after every token of `ids`, `[ids.length, vocabSize]`, by dense attention. */
export async function denseForward(decoder: Decoder, ids: Int32Array): Promise<Float32Array> {
  const residual = await new DenseSequence(decoder, ids.length).append(ids);
  const logits = new Float32Array(ids.length * decoder.config.vocabSize);
  await decoder.logits(residual, ids.length, logits);
  return logits;
}

/** The `count` tokens that follow `ids` when the most likely one is always taken (ties: lower id). */
export async function greedyContinuation(decoder: Decoder, ids: Int32Array, count: number): Promise<Int32Array> {
  const { hiddenSize, vocabSize } = decoder.config;
  const sequence = new DenseSequence(decoder, ids.length + count);
  const logits = new Float32Array(vocabSize);
  const continuation = new Int32Array(count);
  let next = ids;
  for (let step = 0; step < count; step++) {
    const residual = await sequence.append(next);
    await decoder.logits(residual.subarray(-hiddenSize), 1, logits);
    continuation[step] = argmax(logits);
    next = continuation.subarray(step, step + 1);
  }
  return continuation;
}

/** Index of the largest value; the lower one of equals. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
