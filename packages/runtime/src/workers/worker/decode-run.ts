import {
  type AttentionCost,
  type DecodeContext,
  type HeadTensor,
  type KvPruner,
  type ReadPlan,
  sliceHeads,
  sliceTokens,
  tokensFirst,
  WinnowError,
} from "@winnow/core";
import type { ResidualRows } from "@winnow/models";
import { cacheBytes, cachedTokens, cacheViews, compressedTokens, type LayerCache } from "../../engine/sequence.js";
import type { DecodeLayerStats, DecodeStats } from "../../receipt/stats.js";
import { guardPlugin } from "../../registry/guard-plugin.js";
import type { DecodeTask } from "../messages.js";
import { Clock } from "./clock.js";
import { compressLayer } from "./compress.js";
import { evictInPlace } from "./evict.js";
import { GROWTH, grow } from "./grow.js";
import { ropeTablesFor } from "./positions.js";
import type { LayerVisitor } from "./prefill.js";
import type { PrunerRecords } from "./pruner-records.js";
import { checkReadPlan, readParts } from "./read-plan.js";
import { pluginOperations, type Session } from "./session.js";

type Phase = "projection" | "select" | "attention";

interface LayerPruner {
  readonly id: string;
  readonly pruner: KvPruner;
  readonly state: unknown;
  readonly inner: PrunerRecords;
}

type MutableLayerStats = { -readonly [Key in keyof DecodeLayerStats]: DecodeLayerStats[Key] };

/** Forward steps of one token each. Buffers are made once per slice, nothing is allocated per layer but views. */
export class DecodeRun {
  position: number;
  readonly layers: LayerCache[];
  readonly #session: Session;
  readonly #task: DecodeTask;
  readonly #visit: LayerVisitor | undefined;
  readonly #clock = new Clock<Phase>();
  readonly #layerStats: MutableLayerStats[];
  readonly #pruners: readonly (LayerPruner | undefined)[];
  readonly #residual: Float32Array;
  readonly #q: HeadTensor;
  readonly #rawQ: HeadTensor;
  readonly #k: HeadTensor;
  readonly #v: HeadTensor;
  #scores = new Float32Array(0);
  #steps = 0;
  #totalMs = 0;
  #weightBytesRead = 0;

  constructor(session: Session, task: DecodeTask, visit?: LayerVisitor) {
    this.#session = session;
    this.#task = task;
    this.#visit = visit;
    this.position = task.sequence.position;
    this.layers = [...task.sequence.layers];
    const { shape } = session.plan.model;
    const row = (heads: number) => tokensFirst(new Float32Array(heads * shape.headDim), heads, 1, shape.headDim);
    this.#q = row(shape.queryHeads);
    this.#rawQ = row(shape.queryHeads);
    this.#k = row(shape.kvHeads);
    this.#v = row(shape.kvHeads);
    this.#residual = new Float32Array(session.decoder.config.hiddenSize);
    this.#pruners = Array.from({ length: shape.layers }, (_, layer) => this.#prunerOf(layer));
    for (const pruner of this.#pruners) pruner?.inner.clear();
    this.#layerStats = Array.from({ length: shape.layers }, (_, layer) => ({
      layer,
      tokensRead: 0,
      tokensCached: 0,
      elementsRead: 0,
      bytesRead: 0,
      tokensCompressed: 0,
      cacheBytes: 0,
      selectMs: 0,
      attentionMs: 0,
    }));
  }

  /** Appends token `id` and returns the logits after it. */
  async step(id: number): Promise<Float32Array> {
    const started = performance.now();
    const { decoder } = this.#session;
    decoder.weightBytesRead = 0;
    decoder.embed(Int32Array.of(id), this.#residual);
    for (let layer = 0; layer < this.layers.length; layer++) await this.#layer(layer);
    const logits = new Float32Array(decoder.config.vocabSize);
    await this.#clock.timeAsync("projection", () => decoder.logits(this.#residual, 1, logits));
    this.#weightBytesRead += decoder.weightBytesRead;
    this.position++;
    this.#steps++;
    this.#totalMs += performance.now() - started;
    return logits;
  }

  stats(): DecodeStats {
    return {
      tokens: this.#steps,
      totalMs: this.#totalMs,
      projectionMs: this.#clock.ms("projection"),
      selectMs: this.#clock.ms("select"),
      attentionMs: this.#clock.ms("attention"),
      weightBytesRead: this.#weightBytesRead,
      layers: this.#layerStats.map((stats) => {
        const innerPruners = this.#pruners[stats.layer]?.inner.take(stats.layer) ?? [];
        const cache = this.layers[stats.layer];
        return {
          ...stats,
          tokensCompressed: compressedTokens(cache),
          cacheBytes: cacheBytes(cache),
          ...(innerPruners.length > 0 && { innerPruners }),
        };
      }),
    };
  }

  async #layer(layer: number): Promise<void> {
    const { decoder } = this.#session;
    await this.#clock.timeAsync("projection", async () => {
      const tables = ropeTablesFor(this.#task.context.model, this.position + 1);
      const targets = { q: rowsOf(this.#q), k: rowsOf(this.#k), v: rowsOf(this.#v), rawQ: rowsOf(this.#rawQ) };
      await decoder.attentionInputs(this.#at(layer), Int32Array.of(this.position), tables, targets);
      this.#append(layer);
    });
    this.#attend(layer);
    await this.#clock.timeAsync("projection", async () => {
      await decoder.attentionOutput(this.#at(layer), rowsOf(this.#q));
      await decoder.mlp(this.#at(layer));
    });
  }

  /** Stores the new token behind the last one of each KV head. */
  #append(layer: number): void {
    const { shape } = this.#session.plan.model;
    if (cachedTokens(this.layers[layer]) === this.layers[layer].capacity)
      this.layers[layer] = grow(this.layers[layer], shape, GROWTH);
    const cache = this.layers[layer];
    const { k, v } = cacheViews(cache, shape, cache.capacity);
    const { operations } = this.#session;
    if (cache.lengths.every((length) => length === cache.lengths[0])) {
      operations.storeTokens(this.#k, k, cache.lengths[0]);
      operations.storeTokens(this.#v, v, cache.lengths[0]);
    } else {
      for (let head = 0; head < shape.kvHeads; head++) {
        operations.storeTokens(sliceHeads(this.#k, head, head + 1), sliceHeads(k, head, head + 1), cache.lengths[head]);
        operations.storeTokens(sliceHeads(this.#v, head, head + 1), sliceHeads(v, head, head + 1), cache.lengths[head]);
      }
    }
    for (let head = 0; head < shape.kvHeads; head++) cache.lengths[head]++;
  }

  #attend(layer: number): void {
    const { shape } = this.#session.plan.model;
    const cache = this.layers[layer];
    const length = cachedTokens(cache);
    const { k, v } = cacheViews(cache, shape, length);
    this.#visit?.(layer, { q: this.#q, k, v });
    const entry = this.#pruners[layer];
    const context: DecodeContext = {
      model: shape,
      layer,
      step: this.position - this.#task.sequence.promptLength,
      position: this.position,
      q: this.#q,
      k,
      length,
      scale: this.#session.scale,
      primitives: pluginOperations(this.#session.operations),
    };
    const plan = this.#timed("select", layer, () => this.#select(entry, context, cache));
    const cost = this.#timed("attention", layer, () => this.#read(layer, plan, k, v, cache));
    this.#count(layer, plan, cost, cache);
    if (!entry) return;
    this.#timed("select", layer, () => this.#afterAttention(entry, context, plan, cache));
  }

  #select(entry: LayerPruner | undefined, context: DecodeContext, cache: LayerCache): ReadPlan {
    if (!entry?.pruner.select) return { read: "all" };
    const plan = guardPlugin(entry.id, "select", () => entry.pruner.select!(context, entry.state));
    checkReadPlan(entry.id, plan, { cache, queryHeads: this.#q.heads, position: this.position });
    return plan;
  }

  #read(layer: number, plan: ReadPlan, k: HeadTensor, v: HeadTensor, cache: LayerCache): AttentionCost {
    const { operations, plan: planned } = this.#session;
    const base = { q: this.#q, out: this.#q, scale: this.#session.scale };
    if (cache.compressed)
      return operations.packedAttention({ ...base, k, v, packedK: cache.compressed.k, packedV: cache.compressed.v });
    if (plan.read === "parts") {
      const tables = ropeTablesFor(this.#task.context.model, this.position + 1);
      return readParts(operations, plan.parts, { ...base, k, v, rawQ: this.#rawQ, tables });
    }
    if (plan.read === "lists") return operations.decodeAttention({ ...base, k, v, tokens: plan.lists });
    const window = planned.model.slidingWindow[layer];
    if (window !== null && k.length > window) {
      const start = k.length - window;
      return operations.decodeAttention({
        ...base,
        k: sliceTokens(k, start, k.length),
        v: sliceTokens(v, start, v.length),
      });
    }
    const ragged = cache.lengths.some((length) => length !== k.length);
    return operations.decodeAttention({
      ...base,
      k,
      v,
      ...(ragged && { lengths: cache.lengths }),
      ...(plan.scores && { scores: this.#scoreBuffer(k.length) }),
    });
  }

  #afterAttention(entry: LayerPruner, context: DecodeContext, plan: ReadPlan, cache: LayerCache): void {
    if (plan.read === "all" && plan.scores && entry.pruner.observe) {
      const scores = this.#scoreBuffer(context.length);
      guardPlugin(entry.id, "observe", () => entry.pruner.observe!(context, entry.state, scores));
    }
    if (entry.pruner.afterAttention) {
      const kept = guardPlugin(entry.id, "afterAttention", () => entry.pruner.afterAttention!(context, entry.state));
      if (kept) evictInPlace(this.#session, entry.id, cache, kept);
    }
    const { layer, step } = context;
    this.layers[layer] = compressLayer(this.#session, cache, { ...entry, layer, step, reserve: GROWTH });
  }

  #count(layer: number, plan: ReadPlan, cost: AttentionCost, cache: LayerCache): void {
    const heads = this.#q.heads;
    const group = heads / cache.lengths.length;
    const cached = cache.lengths.reduce((sum, length) => sum + length * group, 0);
    const window = this.#session.plan.model.slidingWindow[layer];
    const all =
      window === null ? cached : cache.lengths.reduce((sum, length) => sum + Math.min(length, window) * group, 0);
    const read = plan.read === "lists" ? plan.lists.offsets[heads] : all;
    const packed = heads * compressedTokens(cache);
    const elements = cache.compressed ? cache.compressed.k.kept + cache.compressed.v.kept : 0;
    const stats = this.#layerStats[layer];
    stats.tokensCached += cached + packed;
    stats.bytesRead += cost.bytesRead;
    stats.tokensRead += read + packed;
    stats.elementsRead += read * 2 * this.#q.headDim + packed * elements;
  }

  #scoreBuffer(length: number): Float32Array {
    const size = this.#q.heads * length;
    if (this.#scores.length < size) this.#scores = new Float32Array(size + this.#q.heads * GROWTH);
    return this.#scores.subarray(0, size);
  }

  #at(layer: number): ResidualRows {
    return { layer, residual: this.#residual, rows: 1, sparseRows: this.#task.options.dense ? 0 : 1 };
  }

  #timed<T>(phase: "select" | "attention", layer: number, work: () => T): T {
    const before = this.#clock.ms(phase);
    const result = this.#clock.time(phase, work);
    this.#layerStats[layer][phase === "select" ? "selectMs" : "attentionMs"] += this.#clock.ms(phase) - before;
    return result;
  }

  #prunerOf(layer: number): LayerPruner | undefined {
    if (this.#task.options.dense) return undefined;
    const index = this.#session.plugins.pruners.findIndex(({ planned }) => planned.layers.includes(layer));
    if (index < 0) return undefined;
    const { planned, pruner, inner } = this.#session.plugins.pruners[index];
    const states = this.#task.sequence.prunerStates;
    if (index >= states.length)
      throw new WinnowError("ERR_PLAN_CONFLICT", `The sequence holds no state for KV pruner "${planned.kvPruner}".`);
    return { id: planned.kvPruner, pruner, state: states[index], inner };
  }
}

function rowsOf(x: HeadTensor): Float32Array {
  return x.data as Float32Array;
}
