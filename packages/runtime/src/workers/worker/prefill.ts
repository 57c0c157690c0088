import {
  type AttentionCost,
  type AttentionInputs,
  type HeadTensor,
  lowerMask,
  type Mask,
  rowTokens,
  sliceTokens,
  type TokenLists,
  tokensFirst,
} from "@winnow/core";
import type { ResidualRows } from "@winnow/models";
import {
  allocateCache,
  cacheBytes,
  cacheViews,
  compressedTokens,
  type LayerCache,
  type SequenceState,
} from "../../engine/sequence.js";
import type { PrefillLayerStats } from "../../receipt/stats.js";
import { guardPlugin } from "../../registry/guard-plugin.js";
import type { PrefillResult, PrefillTask } from "../messages.js";
import { throwIfCancelled } from "./cancel.js";
import { Clock } from "./clock.js";
import { compressLayer } from "./compress.js";
import { emitProgress } from "./events.js";
import { evict } from "./evict.js";
import { GROWTH } from "./grow.js";
import { planLayerMasks } from "./masks.js";
import { positionsFrom, ropeTablesFor } from "./positions.js";
import { checkPrunerStates } from "./pruner-state.js";
import { CHUNK_ROWS, pluginOperations, type Session } from "./session.js";

type Phase = "projection" | "estimate" | "attention" | "prune";

/**
 * One prompt, layer by layer over all its tokens; dense parts in chunks of rows, attention in one call per layer.
 * Attention writes over the queries, so memory is O(n * (hidden + h * d)) besides the cache; nothing is n x n.
 * Only the last row leaves the last layer, so only that row's attention, output projection and MLP are computed there.
 */
export async function prefill(session: Session, task: PrefillTask, visit?: LayerVisitor): Promise<PrefillResult> {
  return new PrefillRun(session, task, { ...(visit && { visit }) }).result();
}

/** What a prefill does beyond its task. */
export interface PrefillExtras {
  readonly visit?: LayerVisitor;
  /** This many of the tokens, the last ones, use the selections of the weights. Default 0. */
  readonly sparseTokens?: number;
  /** Computes all rows of the last layer, too, and hands the final residual stream `[n, hidden]` over. */
  onResidual?(residual: Float32Array): Promise<void>;
}

export function prefillWith(session: Session, task: PrefillTask, extras: PrefillExtras): Promise<PrefillResult> {
  return new PrefillRun(session, task, extras).result();
}

/** Sees the attention inputs of each layer before attention overwrites the queries. */
export type LayerVisitor = (layer: number, inputs: AttentionInputs) => void | Promise<void>;

class PrefillRun {
  readonly #session: Session;
  readonly #task: PrefillTask;
  readonly #extras: PrefillExtras;
  readonly #clock = new Clock<Phase>();
  readonly #n: number;
  readonly #hidden: number;
  readonly #residual: Float32Array;
  readonly #q: HeadTensor;

  constructor(session: Session, task: PrefillTask, extras: PrefillExtras) {
    this.#session = session;
    this.#task = task;
    this.#extras = extras;
    const { shape } = session.plan.model;
    this.#n = task.ids.length;
    this.#hidden = session.decoder.config.hiddenSize;
    this.#residual = new Float32Array(this.#n * this.#hidden);
    this.#q = tokensFirst(
      new Float32Array(this.#n * shape.queryHeads * shape.headDim),
      shape.queryHeads,
      this.#n,
      shape.headDim,
    );
  }

  async result(): Promise<PrefillResult> {
    const started = performance.now();
    const { plan, plugins, decoder } = this.#session;
    const pruners = this.#task.dense ? [] : plugins.pruners;
    for (const { inner } of pruners) inner.clear();
    const prunerStates = pruners.map(({ planned, pruner }) =>
      guardPlugin(planned.kvPruner, "createState", () => pruner.createState()),
    );
    this.#clock.time("projection", () => decoder.embed(this.#task.ids, this.#residual));

    const layers: LayerCache[] = [];
    const stats: PrefillLayerStats[] = [];
    for (let layer = 0; layer < plan.model.shape.layers; layer++) {
      const { cache, layerStats } = await this.#layer(layer, prunerStates);
      layers.push(cache);
      stats.push(layerStats);
      emitProgress(this.#task.events, (layer + 1) / plan.model.shape.layers, `prefill layer ${layer + 1}`);
    }
    await this.#extras.onResidual?.(this.#residual);
    const logits = new Float32Array(decoder.config.vocabSize);
    await this.#clock.timeAsync("projection", () => decoder.logits(this.#rows(this.#n - 1, this.#n), 1, logits));
    checkPrunerStates(pruners, prunerStates);
    const sequence: SequenceState = { promptLength: this.#n, position: this.#n, layers, prunerStates, logits };
    return {
      sequence,
      stats: {
        tokens: this.#n,
        totalMs: performance.now() - started,
        projectionMs: this.#clock.ms("projection"),
        estimateMs: this.#clock.ms("estimate"),
        attentionMs: this.#clock.ms("attention"),
        pruneMs: this.#clock.ms("prune"),
        layers: stats,
        cacheBytes: layers.reduce((sum, cache) => sum + cacheBytes(cache), 0),
      },
    };
  }

  async #layer(layer: number, prunerStates: unknown[]): Promise<{ cache: LayerCache; layerStats: PrefillLayerStats }> {
    const { shape } = this.#session.plan.model;
    const n = this.#n;
    const onlyLastRow = layer === shape.layers - 1 && !this.#extras.onResidual;
    const cache = allocateCache(shape, this.#session.plan.precision, n + this.#task.reserve);
    await this.#project(layer, cache);
    const { k, v } = cacheViews(cache, shape, n);
    const scale = this.#session.scale;
    await this.#extras.visit?.(layer, { q: this.#q, k, v });

    const before = { estimate: this.#clock.ms("estimate"), attention: this.#clock.ms("attention") };
    const { masks, groups } = this.#clock.time("estimate", () =>
      planLayerMasks(this.#session, layer, this.#q, k, scale, this.#task.dense),
    );
    const observed = this.#observedQueries(layer);
    const cost = await this.#clock.timeAsync("attention", () =>
      onlyLastRow ? this.#lastRow(masks, k, v) : this.#allRows(masks, k, v),
    );
    throwIfCancelled(this.#task.cancel);

    const first = onlyLastRow ? n - 1 : 0;
    await this.#chunks(async (start, end) => {
      const at = this.#at(layer, start, end);
      await this.#session.decoder.attentionOutput(at, this.#attentionRows(start, end));
      await this.#session.decoder.mlp(at);
    }, first);

    const kept = this.#clock.time("prune", () => this.#shrink(layer, prunerStates, cache, observed));
    const innerPruners = this.#prunerOf(layer)?.inner.take(layer) ?? [];
    return {
      cache: kept,
      layerStats: {
        layer,
        estimateMs: this.#clock.ms("estimate") - before.estimate,
        attentionMs: this.#clock.ms("attention") - before.attention,
        groups,
        queryRows: onlyLastRow ? 1 : n,
        causalCells: shape.queryHeads * (onlyLastRow ? n : (n * (n + 1)) / 2),
        cellsComputed: cost.cellsComputed,
        bytesRead: cost.bytesRead,
        tokensKept: Array.from(kept.lengths, (length) => length + compressedTokens(kept)),
        tokensCompressed: compressedTokens(kept),
        cacheBytes: cacheBytes(kept),
        ...(innerPruners.length > 0 && { innerPruners }),
      },
    };
  }

  /** Norm, QKV and RoPE of all rows; K and V go to the cache. */
  async #project(layer: number, cache: LayerCache): Promise<void> {
    const { shape } = this.#session.plan.model;
    const { decoder, operations } = this.#session;
    const tables = ropeTablesFor(this.#task.context.model, this.#n);
    const width = shape.kvHeads * shape.headDim;
    const rows = Math.min(CHUNK_ROWS, this.#n);
    const k = new Float32Array(rows * width);
    const v = new Float32Array(rows * width);
    const target = cacheViews(cache, shape, cache.capacity);
    await this.#chunks(async (start, end) => {
      const count = end - start;
      await decoder.attentionInputs(this.#at(layer, start, end), positionsFrom(start, count), tables, {
        q: this.#attentionRows(start, end),
        k,
        v,
      });
      operations.storeTokens(
        tokensFirst(k.subarray(0, count * width), shape.kvHeads, count, shape.headDim),
        target.k,
        start,
      );
      operations.storeTokens(
        tokensFirst(v.subarray(0, count * width), shape.kvHeads, count, shape.headDim),
        target.v,
        start,
      );
    });
    cache.lengths.fill(this.#n);
  }

  #allRows(masks: readonly Mask[], k: HeadTensor, v: HeadTensor): AttentionCost | Promise<AttentionCost> {
    const { operations } = this.#session;
    return operations.prefillAttention({
      q: this.#q,
      k,
      v,
      out: this.#q,
      scale: this.#session.scale,
      masks,
      cancel: this.#task.cancel,
    });
  }

  /** Attention of row n - 1 alone, over the keys that its masks keep. */
  #lastRow(masks: readonly Mask[], k: HeadTensor, v: HeadTensor): AttentionCost {
    const { operations } = this.#session;
    const q = sliceTokens(this.#q, this.#n - 1, this.#n);
    const tokens =
      masks.length === 1 && masks[0].form === "dense" ? undefined : lastRowLists(masks, this.#q.heads, this.#n);
    return operations.decodeAttention({ q, k, v, out: q, scale: this.#session.scale, ...(tokens && { tokens }) });
  }

  /** Copy of the last queries that this layer's pruner wants to see; attention is about to overwrite them. */
  #observedQueries(layer: number): HeadTensor | undefined {
    const entry = this.#prunerOf(layer);
    if (!entry?.pruner.afterPrefill) return undefined;
    const { shape } = this.#session.plan.model;
    const count = Math.min(this.#n, entry.pruner.observationQueries ?? 0);
    return tokensFirst(this.#attentionRows(this.#n - count, this.#n).slice(), shape.queryHeads, count, shape.headDim);
  }

  #shrink(layer: number, prunerStates: unknown[], cache: LayerCache, q: HeadTensor | undefined): LayerCache {
    const kept = this.#evict(layer, prunerStates, cache, q);
    const entry = this.#prunerOf(layer);
    if (!entry) return kept;
    const { planned, pruner, index } = entry;
    const reserve = Math.min(this.#task.reserve, GROWTH);
    return compressLayer(this.#session, kept, {
      id: planned.kvPruner,
      pruner,
      state: prunerStates[index],
      layer,
      reserve,
    });
  }

  #evict(layer: number, prunerStates: unknown[], cache: LayerCache, q: HeadTensor | undefined): LayerCache {
    const entry = this.#prunerOf(layer);
    if (!entry?.pruner.afterPrefill || !q) return cache;
    const { shape } = this.#session.plan.model;
    const { k, v } = cacheViews(cache, shape, this.#n);
    const context = {
      model: shape,
      layer,
      q,
      k,
      v,
      scale: this.#session.scale,
      primitives: pluginOperations(this.#session.operations),
    };
    const kept = guardPlugin(entry.planned.kvPruner, "afterPrefill", () =>
      entry.pruner.afterPrefill?.(context, prunerStates[entry.index]),
    );
    if (!kept) return cache;
    return evict(this.#session, entry.planned.kvPruner, cache, kept, this.#task.reserve);
  }

  #prunerOf(layer: number) {
    if (this.#task.dense) return undefined;
    const index = this.#session.plugins.pruners.findIndex(({ planned }) => planned.layers.includes(layer));
    return index < 0 ? undefined : { ...this.#session.plugins.pruners[index], index };
  }

  #at(layer: number, start: number, end: number): ResidualRows {
    const firstSparse = Math.max(start, this.#n - (this.#extras.sparseTokens ?? 0));
    const sparseRows = Math.max(0, end - firstSparse);
    return { layer, residual: this.#rows(start, end), rows: end - start, sparseRows };
  }

  #rows(start: number, end: number): Float32Array {
    return this.#residual.subarray(start * this.#hidden, end * this.#hidden);
  }

  #attentionRows(start: number, end: number): Float32Array {
    const { tokenStride, data } = this.#q;
    return (data as Float32Array).subarray(start * tokenStride, end * tokenStride);
  }

  async #chunks(work: (start: number, end: number) => void | Promise<void>, first = 0): Promise<void> {
    for (let start = first; start < this.#n; start += CHUNK_ROWS) {
      throwIfCancelled(this.#task.cancel);
      await this.#clock.timeAsync("projection", () => work(start, Math.min(this.#n, start + CHUNK_ROWS)));
    }
  }
}

function lastRowLists(masks: readonly Mask[], heads: number, n: number): TokenLists {
  const lists = masks.map((mask) => rowTokens(lowerMask(mask, n), n - 1));
  const offsets = new Int32Array(heads + 1);
  const perHead = Array.from({ length: heads }, (_, head) => lists[masks.length === 1 ? 0 : head]);
  for (const [head, list] of perHead.entries()) offsets[head + 1] = offsets[head] + list.length;
  const indices = new Int32Array(offsets[heads]);
  for (const [head, list] of perHead.entries()) indices.set(list, offsets[head]);
  return { indices, offsets };
}
