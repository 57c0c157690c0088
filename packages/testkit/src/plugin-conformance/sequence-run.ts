import {
  type CompressContext,
  type CompressedTokens,
  type DecodeContext,
  type FloatData,
  type HeadTensor,
  headsFirst,
  type KeptTokens,
  type KvPruner,
  type Operations,
  type PrefillEndContext,
  sliceTokens,
} from "@winnow/core";
import { attempt, requireThat } from "./check.js";
import { checkCompressed } from "./compressed-results.js";
import { reference } from "./masker-run.js";
import type { Prompt } from "./prompts.js";
import { checkKept, checkReadPlan } from "./pruner-results.js";

/** One decision of a pruner: the tokens that it kept or read, by their positions in the text, per head; undefined: all. */
export interface PrunerEvent {
  /** Such as `afterPrefill of layer 1`. */
  readonly at: string;
  readonly heads: readonly (readonly number[])[] | undefined;
  /** Cached tokens, the most of any head, before the decision; those that are compressed do not count. */
  readonly length: number;
  /** `heads` holds elements of compressed rows, each as (position x 2 + 0 for K or 1 for V) x d + element. */
  readonly elements?: true;
}

export interface SequenceSettings {
  /** Tokens of each layer's data that are the prompt; the others are decoded. */
  readonly promptTokens: number;
  readonly operations?: Operations;
  /** Passes the state through structuredClone before each step, as another worker would. */
  readonly clones?: boolean;
  /** Layout in which the pruner sees queries, keys and values. */
  readonly layout?: (x: HeadTensor) => HeadTensor;
  /** Fails when the pruner changes its inputs. */
  readonly watched?: boolean;
}

/** Keys and values of one KV head, one entry per cached token. */
interface CachedToken {
  readonly position: number;
  readonly k: FloatData;
  readonly v: FloatData;
}

/** What a layer holds compressed. */
interface CompressedBefore {
  readonly tokens: number;
  readonly kept: { readonly k: number; readonly v: number };
}

/** Calls the hooks of a pruner as the runtime does, on made-up data of each layer, and checks what they return. */
export class SequenceRun {
  readonly events: PrunerEvent[] = [];
  private state: unknown;
  /** Tokens that are not compressed. */
  private readonly caches: CachedToken[][][];
  private readonly compressed: (CompressedBefore | undefined)[] = [];
  private readonly operations: Operations;

  constructor(
    private readonly pruner: KvPruner,
    private readonly layers: readonly Prompt[],
    private readonly settings: SequenceSettings,
  ) {
    this.state = attempt("createState to make a state", () => pruner.createState());
    this.operations = settings.operations ?? reference;
    this.caches = layers.map((data) =>
      Array.from({ length: data.model.kvHeads }, (_, head) =>
        Array.from({ length: settings.promptTokens }, (_, position) => tokenOf(data, head, position)),
      ),
    );
  }

  /** The whole sequence. */
  finish(): readonly PrunerEvent[] {
    this.prefill();
    for (let position = this.settings.promptTokens; position < this.layers[0].n; position++) this.step(position);
    return this.events;
  }

  prefill(): void {
    for (let layer = 0; layer < this.layers.length; layer++) {
      this.evictPrompt(layer);
      this.compress(layer);
    }
  }

  private evictPrompt(layer: number): void {
    if (!this.pruner.afterPrefill) return;
    const context = prefillContext(this.layers[layer], layer, this.pruner, this.settings);
    const name = `afterPrefill of layer ${layer}`;
    const kept = this.call(name, context, () => this.pruner.afterPrefill!(context, this.state));
    this.keep(name, layer, kept);
  }

  /** Decodes the token at `position`. */
  step(position: number): void {
    if (this.settings.clones)
      this.state = attempt("a state that structuredClone copies", () => structuredClone(this.state));
    for (let layer = 0; layer < this.layers.length; layer++) {
      for (const [head, cache] of this.caches[layer].entries()) cache.push(tokenOf(this.layers[layer], head, position));
      const { context, v } = this.decodeContext(layer, position);
      const place = `of layer ${layer} in step ${context.step}`;
      const wantsScores = this.select(`select ${place}`, context);
      if (wantsScores) this.observe(`observe ${place}`, context, v);
      if (this.pruner.afterAttention) {
        const name = `afterAttention ${place}`;
        const kept = this.call(name, context, () => this.pruner.afterAttention!(context, this.state));
        this.keep(name, layer, kept);
      }
      this.compress(layer, context.step);
    }
  }

  private compress(layer: number, step?: number): void {
    if (!this.pruner.compress) return;
    const { model } = this.layers[layer];
    const { layout = (x: HeadTensor) => x } = this.settings;
    const cache = this.caches[layer];
    const before = this.compressed[layer];
    const context: CompressContext = {
      model,
      layer,
      ...(step !== undefined && { step }),
      k: layout(cacheView(cache, "k")),
      v: layout(cacheView(cache, "v")),
      compressed: before?.tokens ?? 0,
      primitives: this.operations,
    };
    const name = `compress of layer ${layer}${step === undefined ? "" : ` in step ${step}`}`;
    const result = this.call(name, context, () => this.pruner.compress!(context, this.state));
    const lengths = cache.map(({ length }) => length);
    const event = { at: name, length: Math.max(...lengths), elements: true } as const;
    if (!result) {
      this.events.push({ ...event, heads: undefined });
      return;
    }
    const { kvHeads, headDim } = model;
    checkCompressed(name, result, { kvHeads, headDim, lengths, ...(before && { kept: before.kept }) });
    this.events.push({ ...event, heads: cache.map((tokens, head) => keptPlaces(result, tokens, head, headDim)) });
    this.caches[layer] = cache.map((tokens) => tokens.slice(result.count));
    const tokens = context.compressed + result.count;
    this.compressed[layer] = { tokens, kept: { k: result.k.kept, v: result.v.kept } };
  }

  private select(name: string, context: DecodeContext): boolean {
    if (!this.pruner.select) return false;
    const plan = this.call(name, context, () => this.pruner.select!(context, this.state));
    const cache = this.caches[context.layer];
    const lengths = cache.map(({ length }) => length);
    const queryHeads = context.model.queryHeads;
    const lists = checkReadPlan(name, plan, { lengths, queryHeads, position: context.position });
    requireThat(
      !this.compressed[context.layer] || (plan.read === "all" && !plan.scores),
      `${name} to read all, without scores, where tokens are compressed`,
      () => (plan.read === "all" ? "all with scores" : plan.read),
    );
    const group = queryHeads / cache.length;
    const positions = lists?.map((list, head) => list.map((at) => cache[Math.floor(head / group)][at].position));
    this.events.push({ at: name, heads: positions, length: context.length });
    return plan.read === "all" && plan.scores === true;
  }

  private observe(name: string, context: DecodeContext, v: HeadTensor): void {
    const { q, k, length, scale } = context;
    requireThat(!!this.pruner.observe, "a method observe, for select asked for scores", "none");
    const scores = new Float32Array(q.heads * length);
    const out = headsFirst(new Float32Array(q.heads * q.headDim), q.heads, 1, q.headDim);
    const lengths = Int32Array.from(this.caches[context.layer], (cache) => cache.length);
    this.operations.decodeAttention({ q, k, v, out, scale, lengths, scores });
    this.call(name, context, () => this.pruner.observe!(context, this.state, scores));
  }

  private keep(name: string, layer: number, kept: KeptTokens | undefined): void {
    const cache = this.caches[layer];
    const length = Math.max(...cache.map((tokens) => tokens.length));
    requireThat(!kept || !this.compressed[layer], `${name} to keep all where tokens are compressed`, "kept tokens");
    const lists =
      kept &&
      checkKept(
        name,
        kept,
        cache.map((tokens) => tokens.length),
      );
    if (lists) this.caches[layer] = cache.map((tokens, head) => lists[head].map((at) => tokens[at]));
    const heads = lists && this.caches[layer].map((tokens) => tokens.map(({ position }) => position));
    this.events.push({ at: name, heads, length });
  }

  private call<T>(name: string, inputs: { q?: HeadTensor; k: HeadTensor; v?: HeadTensor }, work: () => T): T {
    const { q, k, v } = inputs;
    const watched = this.settings.watched ? Object.entries({ q, k, v }).filter(([, x]) => x !== undefined) : [];
    const before = watched.map(([tensor, x]) => [tensor, x!.data, x!.data.slice()] as const);
    const result = attempt(`${name} to work`, work);
    for (const [tensor, now, old] of before) {
      const same = old.every((value, e) => Object.is(value, now[e]));
      requireThat(same, `${name} to leave ${tensor} as it is`, "other numbers");
    }
    return result;
  }

  private decodeContext(layer: number, position: number): { context: DecodeContext; v: HeadTensor } {
    const { model, scale, q } = this.layers[layer];
    const { layout = (x: HeadTensor) => x } = this.settings;
    const k = layout(cacheView(this.caches[layer], "k"));
    const context = {
      model,
      layer,
      step: position - this.settings.promptTokens,
      position,
      q: layout(headsFirst(tokenOfEachHead(q, position), model.queryHeads, 1, model.headDim)),
      k,
      length: k.length,
      scale,
      primitives: this.operations,
    };
    return { context, v: layout(cacheView(this.caches[layer], "v")) };
  }
}

/** What `afterPrefill` sees of one layer: the last queries that the pruner asks for, all keys and values. */
export function prefillContext(
  data: Prompt,
  layer: number,
  { observationQueries = 0 }: Pick<KvPruner, "observationQueries">,
  { promptTokens, operations = reference, layout = (x) => x }: SequenceSettings,
): PrefillEndContext {
  const { model, scale } = data;
  const first = promptTokens - Math.min(promptTokens, observationQueries);
  const q = layout(sliceTokens(data.q, first, promptTokens));
  const [k, v] = [data.k, data.v].map((x) => layout(sliceTokens(x, 0, promptTokens)));
  return { model, layer, q, k, v, scale, primitives: operations };
}

function tokenOf(data: Prompt, head: number, position: number): CachedToken {
  const at = (x: HeadTensor) => {
    const start = x.offset + head * x.headStride + position * x.tokenStride;
    return x.data.slice(start, start + x.headDim);
  };
  return { position, k: at(data.k), v: at(data.v) };
}

/** Elements of compressed rows of one head, as in {@link PrunerEvent}. */
function keptPlaces(result: CompressedTokens, tokens: readonly CachedToken[], head: number, d: number): number[] {
  return (["k", "v"] as const).flatMap((part, offset) => {
    const { kept, indices } = result[part];
    const first = head * result.count * kept;
    return Array.from(indices.subarray(first, first + result.count * kept), (element, at) => {
      return (2 * tokens[Math.floor(at / kept)].position + offset) * d + element;
    });
  });
}

function tokenOfEachHead(x: HeadTensor, token: number): Float32Array {
  const row = new Float32Array(x.heads * x.headDim);
  for (let head = 0; head < x.heads; head++) {
    const start = x.offset + head * x.headStride + token * x.tokenStride;
    row.set(x.data.subarray(start, start + x.headDim), head * x.headDim);
  }
  return row;
}

/** `[hKv, length, d]`; heads with fewer tokens end in numbers that mean nothing. */
function cacheView(cache: readonly CachedToken[][], part: "k" | "v"): HeadTensor {
  const length = Math.max(...cache.map((tokens) => tokens.length));
  const sample = cache[0][0][part];
  const d = sample.length;
  const data =
    sample instanceof Float32Array
      ? new Float32Array(cache.length * length * d)
      : new Uint16Array(cache.length * length * d);
  data.fill(sample instanceof Float32Array ? 77 : 0x429a);
  for (const [head, tokens] of cache.entries())
    for (const [at, token] of tokens.entries()) data.set(token[part], (head * length + at) * d);
  return headsFirst(data, cache.length, length, d);
}
