import { type CancelFlag, type LayerOperations, tokensFirst, WinnowError } from "@winnow/core";
import type { ModelConfig } from "./config.js";
import type { RopeTable } from "./rope.js";
import type { ModelWeights } from "./weights.js";

export interface DecoderOptions {
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly ops: LayerOperations;
  /** Rows per chunk of the matrix products: bounds scratch memory and the time between two looks at `cancel`. Default 512. */
  readonly maxRows?: number;
}

/** Where {@link Decoder.attentionInputs} writes; `rows` tokens, heads beside each other (`tokensFirst` gives the view). */
export interface AttentionInputs {
  /** `[rows, h * d]`, after RoPE. */
  readonly q: Float32Array;
  /** `[rows, hKv * d]`, after RoPE. */
  readonly k: Float32Array;
  /** `[rows, hKv * d]`. */
  readonly v: Float32Array;
  /** `[rows, h * d]` and `[rows, hKv * d]`: after QK norm but before RoPE, for methods that ask for it. */
  readonly rawQ?: Float32Array;
  readonly rawK?: Float32Array;
}

/** Tokens of one call: the residual stream `[rows, hiddenSize]`, read and (by `attentionOutput` and `mlp`) added to in place. */
export interface ResidualRows {
  readonly layer: number;
  readonly residual: Float32Array;
  readonly rows: number;
  readonly cancel?: CancelFlag;
}

/**
 * The dense forward pass of a decoder, cut where sparsity enters:
 * `embed`, then for each layer `attentionInputs`, attention (the caller's), `attentionOutput`, `mlp`, then `logits`.
 * It keeps no sequence state. Scratch is allocated once, so that one decoder serves one thread and one call at a time.
 * Asynchronous because a kernel package may compute its projections so (ONNX Runtime); with others a call settles without waiting.
 *
 * Every method takes any number of rows and goes chunk by chunk; the result does not depend on the chunk size.
 */
export class Decoder {
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly ops: LayerOperations;
  private readonly maxRows: number;
  /** `[maxRows, hiddenSize]`. */
  private readonly normed: Float32Array;
  /** `[maxRows, intermediateSize]`. */
  private readonly gate: Float32Array;
  private readonly up: Float32Array;

  constructor({ config, weights, ops, maxRows = 512 }: DecoderOptions) {
    if (!Number.isSafeInteger(maxRows) || maxRows < 1) {
      throw new WinnowError(
        "ERR_OPERATION_ARGUMENT",
        `Cannot create a decoder: maxRows must be a positive integer, got ${maxRows}.`,
      );
    }
    this.config = config;
    this.weights = weights;
    this.ops = ops;
    this.maxRows = maxRows;
    this.normed = new Float32Array(maxRows * config.hiddenSize);
    this.gate = new Float32Array(maxRows * config.intermediateSize);
    this.up = new Float32Array(maxRows * config.intermediateSize);
  }

  /** Row `ids[r]` of the embedding table into `out` `[ids.length, hiddenSize]`. Errors: `ERR_PROMPT` for an id outside the vocabulary. */
  embed(ids: Int32Array, out: Float32Array): void {
    const bad = ids.findIndex((id) => id < 0 || id >= this.config.vocabSize);
    if (bad >= 0) {
      throw new WinnowError(
        "ERR_PROMPT",
        `Cannot embed the prompt: ids must be in 0..${this.config.vocabSize - 1}, got ${ids[bad]} at index ${bad}. Use the tokenizer of this model.`,
      );
    }
    this.ops.embed(ids, this.weights.embedding, this.config.hiddenSize, out);
  }

  /** Norm, projections, QK norm, RoPE: what attention of `layer` reads. `positions` `[rows]` choose rows of `table`. */
  async attentionInputs(
    at: ResidualRows,
    positions: Int32Array,
    table: RopeTable,
    into: AttentionInputs,
  ): Promise<void> {
    const { queryHeads, kvHeads, headDim } = this.config;
    const layer = this.weights.layers[at.layer];
    await this.forEachChunk(at, async (start, rows, x) => {
      this.norm(x, rows, layer.attentionNorm);
      const q = part(into.q, start, rows, queryHeads * headDim);
      const k = part(into.k, start, rows, kvHeads * headDim);
      await this.ops.linear(this.normed, rows, layer.q, q);
      await this.ops.linear(this.normed, rows, layer.k, k);
      await this.ops.linear(this.normed, rows, layer.v, part(into.v, start, rows, kvHeads * headDim));
      if (layer.qNorm) this.headNorm(q, rows * queryHeads, layer.qNorm);
      if (layer.kNorm) this.headNorm(k, rows * kvHeads, layer.kNorm);
      into.rawQ?.set(q, start * queryHeads * headDim);
      into.rawK?.set(k, start * kvHeads * headDim);
      const places = positions.subarray(start, start + rows);
      this.ops.rope(tokensFirst(q, queryHeads, rows, headDim), places, table.cos, table.sin);
      this.ops.rope(tokensFirst(k, kvHeads, rows, headDim), places, table.cos, table.sin);
    });
  }

  /** `residual += attention * Wo^T + bias`; `attention` `[rows, h * d]`. */
  async attentionOutput(at: ResidualRows, attention: Float32Array): Promise<void> {
    const { queryHeads, headDim } = this.config;
    const { o } = this.weights.layers[at.layer];
    await this.forEachChunk(at, async (start, rows, x) => {
      await this.ops.linear(part(attention, start, rows, queryHeads * headDim), rows, o, x, true);
    });
  }

  /** `residual += down(activation(gate(norm(residual))) * up(norm(residual)))`. */
  async mlp(at: ResidualRows): Promise<void> {
    const { intermediateSize, activation } = this.config;
    const layer = this.weights.layers[at.layer];
    await this.forEachChunk(at, async (_start, rows, x) => {
      this.norm(x, rows, layer.mlpNorm);
      await this.ops.linear(this.normed, rows, layer.gate, this.gate);
      await this.ops.linear(this.normed, rows, layer.up, this.up);
      this.ops.gatedActivation(this.gate, this.up, rows * intermediateSize, activation);
      await this.ops.linear(this.gate, rows, layer.down, x, true);
    });
  }

  /** Final norm and head of `rows` residual rows into `out` `[rows, vocabSize]`. */
  async logits(residual: Float32Array, rows: number, out: Float32Array): Promise<void> {
    const { hiddenSize, vocabSize } = this.config;
    for (let start = 0; start < rows; start += this.maxRows) {
      const count = Math.min(this.maxRows, rows - start);
      this.norm(part(residual, start, count, hiddenSize), count, this.weights.finalNorm);
      await this.ops.linear(this.normed, count, this.weights.head, part(out, start, count, vocabSize));
    }
  }

  private norm(x: Float32Array, rows: number, weight: Float32Array): void {
    this.ops.rmsNorm(x, rows, this.config.hiddenSize, weight, this.config.normEpsilon, this.normed);
  }

  private headNorm(x: Float32Array, rows: number, weight: Float32Array): void {
    this.ops.rmsNorm(x, rows, this.config.headDim, weight, this.config.normEpsilon, x);
  }

  private async forEachChunk(
    at: ResidualRows,
    run: (start: number, rows: number, residual: Float32Array) => Promise<void>,
  ): Promise<void> {
    for (let start = 0; start < at.rows; start += this.maxRows) {
      if (at.cancel && Atomics.load(at.cancel, 0) !== 0) {
        throw new WinnowError("ERR_CANCELLED", `The forward pass was cancelled by the caller in layer ${at.layer}.`);
      }
      const rows = Math.min(this.maxRows, at.rows - start);
      await run(start, rows, part(at.residual, start, rows, this.config.hiddenSize));
    }
  }
}

export function createDecoder(options: DecoderOptions): Decoder {
  return new Decoder(options);
}

/** Rows `[start, start + rows)` of a contiguous `[_, width]` array; a view. */
function part(x: Float32Array, start: number, rows: number, width: number): Float32Array {
  return x.subarray(start * width, (start + rows) * width);
}
