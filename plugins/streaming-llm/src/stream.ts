import {
  denseMask,
  type HeadTensor,
  headsFirst,
  type KvPruner,
  type ModelShape,
  type Operations,
  type ReadPart,
  type ReadPlan,
  sliceTokens,
} from "@winnow/core";

/** One layer's inputs of a whole text before RoPE: q `[h, n, d]`, k and v `[hKv, n, d]`. */
export interface StreamInputs {
  readonly q: HeadTensor;
  readonly k: HeadTensor;
  readonly v: HeadTensor;
}

export interface StreamResult {
  /** `[h, n, d]`. */
  readonly output: HeadTensor;
  /** Text positions in the cache after the first block and after each token. */
  readonly kept: number[][];
}

/** Drives one layer through a text as an engine does: the first `block` tokens as prompt, then token by token. RoPE: half-split, base 10000. */
export function runStream(
  pruner: KvPruner<null>,
  inputs: StreamInputs,
  block: number,
  operations: Operations,
): StreamResult {
  return new Stream(pruner, inputs, operations).run(block);
}

class Stream {
  readonly #scale: number;
  readonly #model: ModelShape;
  readonly #tables: { cos: Float32Array; sin: Float32Array };
  /** Keys rotated to their true positions; the first `#positions.length` tokens are cached. */
  readonly #keys: HeadTensor;
  readonly #values: HeadTensor;
  readonly #output: HeadTensor;
  #positions: number[] = [];

  constructor(
    readonly pruner: KvPruner<null>,
    readonly inputs: StreamInputs,
    readonly operations: Operations,
  ) {
    const { q, k } = inputs;
    this.#scale = 1 / Math.sqrt(q.headDim);
    this.#model = { layers: 1, queryHeads: q.heads, kvHeads: k.heads, headDim: q.headDim, contextLength: q.length };
    this.#tables = ropeTables(q.length, q.headDim);
    this.#keys = zeros(k.heads, k.length, k.headDim);
    this.#values = zeros(k.heads, k.length, k.headDim);
    this.#output = zeros(q.heads, q.length, q.headDim);
  }

  run(block: number): StreamResult {
    const kept = [this.#prompt(block)];
    for (let position = block; position < this.inputs.q.length; position++)
      kept.push(this.#step(position, position - block));
    return { output: this.#output, kept };
  }

  #prompt(block: number): number[] {
    this.#append(0, block);
    const { k, v } = this.#cached();
    const q = this.#rotated(sliceTokens(this.inputs.q, 0, block), (token) => token);
    const out = sliceTokens(this.#output, 0, block);
    this.operations.prefillAttention({ q, k, v, out, scale: this.#scale, masks: [denseMask] });
    const window = sliceTokens(q, block, block);
    const context = { model: this.#model, layer: 0, scale: this.#scale, primitives: this.operations };
    return this.#evict(this.pruner.afterPrefill?.({ ...context, q: window, k, v }, null));
  }

  #step(position: number, step: number): number[] {
    this.#append(position, position + 1);
    const { k } = this.#cached();
    const q = this.#rotated(sliceTokens(this.inputs.q, position, position + 1), () => position);
    const context = {
      ...{ model: this.#model, layer: 0, step, position, q, k },
      ...{ length: k.length, scale: this.#scale, primitives: this.operations },
    };
    this.#attend(position, this.pruner.select?.(context, null) ?? { read: "all" });
    return this.#evict(this.pruner.afterAttention?.(context, null));
  }

  /** Softmax over several parts: each part's output weighs exp(lse of the part - lse of all). */
  #attend(position: number, plan: ReadPlan): void {
    const { heads, headDim } = this.inputs.q;
    const everything = { start: 0, end: this.#positions.length, queryPosition: position };
    const results = (plan.read === "parts" ? plan.parts : [everything]).map((part) => this.#attendPart(position, part));
    const out = sliceTokens(this.#output, position, position + 1);
    for (let head = 0; head < heads; head++) {
      const peak = Math.max(...results.map(({ logSumExp }) => logSumExp[head]));
      const weights = results.map(({ logSumExp }) => Math.exp(logSumExp[head] - peak));
      const total = weights.reduce((a, b) => a + b);
      for (let c = 0; c < headDim; c++) {
        const mixed = results.reduce((sum, { data }, part) => sum + weights[part] * data[head * headDim + c], 0);
        out.data[out.offset + head * out.headStride + c] = mixed / total;
      }
    }
  }

  #attendPart(position: number, { start, end, queryPosition }: ReadPart) {
    const { heads, headDim } = this.inputs.q;
    const q = this.#rotated(sliceTokens(this.inputs.q, position, position + 1), () => queryPosition);
    const k = sliceTokens(this.#keys, start, end);
    const v = sliceTokens(this.#values, start, end);
    const data = new Float32Array(heads * headDim);
    const logSumExp = new Float32Array(heads);
    const out = headsFirst(data, heads, 1, headDim);
    this.operations.decodeAttention({ q, k, v, out, scale: this.#scale, logSumExp });
    return { data, logSumExp };
  }

  #append(start: number, end: number): void {
    const at = this.#positions.length;
    const keys = this.#rotated(sliceTokens(this.inputs.k, start, end), (token) => start + token);
    this.operations.storeTokens(keys, this.#keys, at);
    this.operations.storeTokens(sliceTokens(this.inputs.v, start, end), this.#values, at);
    for (let position = start; position < end; position++) this.#positions.push(position);
  }

  #evict(kept: { indices: Int32Array; offsets: Int32Array } | undefined): number[] {
    if (kept) {
      for (const cache of [this.#keys, this.#values])
        this.operations.gatherTokens(cache, kept.indices, kept.offsets, cache);
      this.#positions = Array.from(kept.indices.subarray(0, kept.offsets[1]), (index) => this.#positions[index]);
    }
    return [...this.#positions];
  }

  #cached(): { k: HeadTensor; v: HeadTensor } {
    const length = this.#positions.length;
    return { k: sliceTokens(this.#keys, 0, length), v: sliceTokens(this.#values, 0, length) };
  }

  #rotated(x: HeadTensor, positionOf: (token: number) => number): HeadTensor {
    const copy = zeros(x.heads, x.length, x.headDim);
    this.operations.storeTokens(x, copy, 0);
    const positions = Int32Array.from({ length: x.length }, (_, token) => positionOf(token));
    this.operations.rope(copy, positions, this.#tables.cos, this.#tables.sin);
    return copy;
  }
}

function zeros(heads: number, length: number, headDim: number): HeadTensor {
  return headsFirst(new Float32Array(heads * length * headDim), heads, length, headDim);
}

function ropeTables(positions: number, headDim: number): { cos: Float32Array; sin: Float32Array } {
  const half = headDim / 2;
  const angles = Array.from(
    { length: positions * half },
    (_, i) => Math.floor(i / half) / 10000 ** ((i % half) / half),
  );
  return { cos: Float32Array.from(angles, Math.cos), sin: Float32Array.from(angles, Math.sin) };
}
