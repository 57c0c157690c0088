import {
  type CancelFlag,
  type GatedRowsWeight,
  type LayerOperations,
  type LinearWeight,
  tokensFirst,
  WinnowError,
} from "@winnow/core";
import type { ModelConfig } from "./config.js";
import type { RopeTable } from "./rope.js";
import type { ModelWeights } from "./weights.js";

export interface DecoderOptions {
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly ops: LayerOperations;
  /** Rows per chunk of the matrix products: bounds scratch memory and the time between two looks at `cancel`. Default 512. */
  readonly maxRows?: number;
  readonly observer?: InputObserver;
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
  /** This many of the rows, the last ones, skip what the selections of the weights skip. Default 0: whole matrices. */
  readonly sparseRows?: number;
  readonly cancel?: CancelFlag;
}

/** Sees the inputs of the matrices: views of `[rows, in]`, whose memory the next call uses again. `activatedGate` is `[rows, intermediateSize]`. */
export interface InputObserver {
  /** Costs one more activation of the gate. */
  readonly wantsActivatedGate: boolean;
  observe(layer: number, place: InputPlace, x: Float32Array, rows: number): void;
}

/** Inputs that matrices share: of q, k and v; of o; of gate and up; the activated gate; of down. */
export type InputPlace = "attention" | "attentionOutput" | "mlp" | "activatedGate" | "down";

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
  /** Bytes of weights that the products have read since this was set to 0, selections counted as they fell. */
  weightBytesRead = 0;
  private readonly maxRows: number;
  private readonly observer: InputObserver | undefined;
  /** `[maxRows, hiddenSize]`. */
  private readonly normed: Float32Array;
  /** `[maxRows, intermediateSize]`. */
  private readonly gate: Float32Array;
  private readonly up: Float32Array;

  constructor({ config, weights, ops, maxRows = 512, observer }: DecoderOptions) {
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
    this.observer = observer;
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
    await this.forEachChunk(at, async (start, rows, x, sparse) => {
      this.norm(x, rows, layer.attentionNorm);
      this.observer?.observe(at.layer, "attention", part(this.normed, 0, rows, this.config.hiddenSize), rows);
      const q = part(into.q, start, rows, queryHeads * headDim);
      const k = part(into.k, start, rows, kvHeads * headDim);
      await this.linear(this.normed, rows, layer.q, q, sparse);
      await this.linear(this.normed, rows, layer.k, k, sparse);
      await this.linear(this.normed, rows, layer.v, part(into.v, start, rows, kvHeads * headDim), sparse);
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
    await this.forEachChunk(at, async (start, rows, x, sparse) => {
      const input = part(attention, start, rows, queryHeads * headDim);
      this.observer?.observe(at.layer, "attentionOutput", input, rows);
      await this.linear(input, rows, o, x, sparse, true);
    });
  }

  /** `residual += down(activation(gate(norm(residual))) * up(norm(residual)))`. */
  async mlp(at: ResidualRows): Promise<void> {
    const { intermediateSize, activation } = this.config;
    const { mlpNorm, gate, up, down } = this.weights.layers[at.layer];
    await this.forEachChunk(at, async (_start, rows, x, sparse) => {
      this.norm(x, rows, mlpNorm);
      this.observer?.observe(at.layer, "mlp", part(this.normed, 0, rows, this.config.hiddenSize), rows);
      await this.linear(this.normed, rows, gate, this.gate, sparse);
      this.observeActivatedGate(at.layer, rows);
      const selected = up.format === "gated-rows" ? sparse : 0;
      const whole = rows - selected;
      if (whole > 0) {
        await this.linear(this.normed, whole, up, this.up, sparse - selected);
        this.ops.gatedActivation(this.gate, this.up, whole * intermediateSize, activation);
      }
      if (up.format === "gated-rows") for (let row = whole; row < rows; row++) this.selectedHidden(up, row);
      this.observer?.observe(at.layer, "down", part(this.gate, 0, rows, intermediateSize), rows);
      await this.linear(this.gate, rows, down, x, sparse, true);
    });
  }

  /** Row `row` of `gate <- activation(gate) * up(normed)`, where only the outputs of `up` are computed that its selection keeps. */
  private selectedHidden(up: GatedRowsWeight, row: number): void {
    const { hiddenSize, intermediateSize, activation } = this.config;
    const gate = part(this.gate, row, 1, intermediateSize);
    const hidden = part(this.up, row, 1, intermediateSize);
    this.weightBytesRead += this.ops.gatedLinear(part(this.normed, row, 1, hiddenSize), gate, up, activation, hidden);
    gate.set(hidden);
  }

  private observeActivatedGate(layer: number, rows: number): void {
    if (!this.observer?.wantsActivatedGate) return;
    const count = rows * this.config.intermediateSize;
    const activated = this.gate.slice(0, count);
    this.ops.gatedActivation(activated, new Float32Array(count).fill(1), count, this.config.activation);
    this.observer.observe(layer, "activatedGate", activated, rows);
  }

  /** Final norm and head of `rows` residual rows into `out` `[rows, vocabSize]`. */
  async logits(residual: Float32Array, rows: number, out: Float32Array): Promise<void> {
    const { hiddenSize, vocabSize } = this.config;
    for (let start = 0; start < rows; start += this.maxRows) {
      const count = Math.min(this.maxRows, rows - start);
      this.norm(part(residual, start, count, hiddenSize), count, this.weights.finalNorm);
      await this.linear(this.normed, count, this.weights.head, part(out, start, count, vocabSize), 0);
    }
  }

  private async linear(
    x: Float32Array,
    rows: number,
    weight: LinearWeight,
    out: Float32Array,
    sparseRows: number,
    accumulate = false,
  ): Promise<void> {
    this.weightBytesRead += await this.ops.linear(x, rows, weight, out, accumulate, sparseRows);
  }

  private norm(x: Float32Array, rows: number, weight: Float32Array): void {
    this.ops.rmsNorm(x, rows, this.config.hiddenSize, weight, this.config.normEpsilon, this.normed);
  }

  private headNorm(x: Float32Array, rows: number, weight: Float32Array): void {
    this.ops.rmsNorm(x, rows, this.config.headDim, weight, this.config.normEpsilon, x);
  }

  private async forEachChunk(
    at: ResidualRows,
    run: (start: number, rows: number, residual: Float32Array, sparseRows: number) => Promise<void>,
  ): Promise<void> {
    for (let start = 0; start < at.rows; start += this.maxRows) {
      if (at.cancel && Atomics.load(at.cancel, 0) !== 0) {
        throw new WinnowError("ERR_CANCELLED", `The forward pass was cancelled by the caller in layer ${at.layer}.`);
      }
      const rows = Math.min(this.maxRows, at.rows - start);
      const sparse = Math.min(rows, Math.max(0, start + rows - (at.rows - (at.sparseRows ?? 0))));
      await run(start, rows, part(at.residual, start, rows, this.config.hiddenSize), sparse);
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
