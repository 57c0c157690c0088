import { type TuneResult, WinnowError } from "@winnow/core";
import type { ConfigDocument } from "../config/config.js";
import { explainPlan } from "../plan/explain.js";
import type { Plan } from "../plan/plan.js";
import { buildReceipt } from "../receipt/build-receipt.js";
import { resetPeakMemory } from "../receipt/peak-memory.js";
import type { Receipt } from "../receipt/receipt.js";
import { addDecodeStats, noDecodeStats } from "../receipt/stats.js";
import { summarizeWeightFormats, type WeightFormatSummary } from "../receipt/weight-formats.js";
import type { LoadedModel } from "../workers/loaded-model.js";
import type { TaskHandlers, WorkerPool } from "../workers/main/pool.js";
import type {
  DecodeResult,
  DecodeTask,
  EngineContext,
  FinishReason,
  GeneratedToken,
  LoadResult,
  PrefillResult,
  PrunedOnLoad,
  ScoreResult,
  StreamState,
} from "../workers/messages.js";
import { noText } from "../workers/worker/text-stream.js";
import { watchEventLoop } from "./event-loop-watch.js";
import { type GenerateInput, Generation, type RunHooks, Sequence } from "./generation.js";
import { type GenerationOptions, resolveGenerationOptions } from "./generation-options.js";
import { checkPromptIds, checkPromptText, idsOf, type Prompt, type PromptLimits, promptText } from "./prompt.js";
import { TokenQueue } from "./token-queue.js";

/** Time that one decode task keeps a worker, so that several streams share few workers fairly. */
const SLICE_MS = 100;

/** Room for new tokens in the cache of a sequence that was prefilled without saying how many will follow; caches grow when needed. */
const DEFAULT_RESERVE = 256;

/**
 * A model with a plan, ready to run. Work happens in the workers; the caller's event loop stays free.
 * Several generations may run at once; they share the workers and never each other's state.
 */
export class Engine implements AsyncDisposable {
  readonly plan: Plan;
  readonly config: ConfigDocument;
  readonly #pool: WorkerPool;
  readonly #context: EngineContext;
  readonly #isa: Readonly<Record<string, string>>;
  readonly #weightFormats: readonly WeightFormatSummary[];
  readonly #pruned: PrunedOnLoad | undefined;
  #last: Receipt | undefined;

  /** @internal Use {@link createEngine}. */
  constructor(config: ConfigDocument, plan: Plan, pool: WorkerPool, loaded: LoadResult) {
    this.config = config;
    this.plan = plan;
    this.#pool = pool;
    this.#context = { plan, model: loaded.model };
    this.#isa = loaded.isa;
    this.#pruned = loaded.pruned;
    this.#weightFormats = summarizeWeightFormats(loaded.model.weights);
  }

  get model(): LoadedModel {
    return this.#context.model;
  }

  /** The plan as text: every value with where it came from. */
  explain(): string {
    return explainPlan(this.plan);
  }

  /** Receipt of the last generation that finished, if any. */
  receipt(): Receipt | undefined {
    return this.#last;
  }

  /** Token ids of a text, with the special tokens that the tokenizer adds. */
  async encode(text: string, hooks: RunHooks = {}): Promise<Int32Array> {
    checkPromptText(text);
    return this.#pool.run<Int32Array>({ type: "encode", context: this.#context, text }, handlers(hooks));
  }

  /**
   * Streams an answer. Nothing starts before the first `next()`; leaving the loop early stops the work.
   * Errors: `ERR_PROMPT`, `ERR_GENERATION_OPTION`, `ERR_PLUGIN_*`, `ERR_WORKER_DIED`; an aborted signal rejects with its reason.
   */
  generate(prompt: Prompt, input: GenerateInput = {}): Generation {
    const { hooks, options } = split(input);
    return new Generation(async (generation) => {
      const started = performance.now();
      const sequence = await this.#prefill(prompt, options, options.maxNewTokens, hooks);
      return this.#stream(sequence, options, hooks, generation, started);
    });
  }

  /** Runs a prompt and keeps its cache, so that generation can start later without waiting. */
  async prefill(prompt: Prompt, input: GenerateInput & { readonly reserve?: number } = {}): Promise<Sequence> {
    const { reserve = DEFAULT_RESERVE, ...rest } = input;
    const { hooks, options } = split(rest);
    checkReserve(reserve);
    const prefilled = await this.#prefill(prompt, options, reserve, hooks);
    return new Sequence(prefilled.result.sequence.position, options.dense, (generationInput) => {
      const later = split({ ...generationInput, dense: options.dense });
      return new Generation(async (generation) => {
        const started = performance.now() - prefilled.elapsedMs;
        return this.#stream(prefilled, later.options, later.hooks, generation, started);
      });
    });
  }

  /**
   * How likely the model finds a text: -ln p of its tokens, teacher-forced, without context carried over. `prefilled` tokens (default: all) go through the
   * plan's maskers, the others one at a time through its KV pruners; scored are all tokens but the first, or those after the prefilled ones.
   * Errors: `ERR_PROMPT`, `ERR_GENERATION_OPTION`, `ERR_PLUGIN_*`; an aborted signal rejects with its reason.
   */
  async score(ids: Int32Array, options: ScoreOptions = {}): Promise<ScoreResult> {
    const { prefilled = ids.length, sparseTokens = 0, dense = false, ...hooks } = options;
    checkPromptIds(ids, this.#promptLimits());
    checkScored(ids.length, prefilled, sparseTokens);
    const body = { type: "score" as const, context: this.#context, ids, prefilled, sparseTokens, dense };
    return this.#pool.run<ScoreResult>(body, handlers(hooks));
  }

  /** Runs a plugin's offline search in a worker. Errors: `ERR_OPTION_*` for its settings, `ERR_PROMPT`, `ERR_PLUGIN_*`. */
  async tune(
    plugin: string,
    options: Readonly<Record<string, unknown>>,
    prompts: readonly Int32Array[],
    hooks: RunHooks = {},
  ): Promise<TuneResult> {
    for (const prompt of prompts) checkPromptIds(prompt, this.#promptLimits());
    return this.#pool.run<TuneResult>(
      { type: "tune", context: this.#context, plugin, options, prompts },
      handlers(hooks),
    );
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #prefill(prompt: Prompt, options: GenerationOptions, reserve: number, hooks: RunHooks): Promise<Prefilled> {
    const started = performance.now();
    hooks.signal?.throwIfAborted();
    resetPeakMemory();
    const eventLoop = watchEventLoop();
    try {
      const ids = await this.#idsOf(prompt, hooks);
      const encodeMs = performance.now() - started;
      const room = Math.min(reserve, this.plan.model.shape.contextLength - ids.length);
      const body = { type: "prefill" as const, context: this.#context, ids, reserve: room, dense: options.dense };
      const result = await this.#pool.run<PrefillResult>(body, handlers(hooks));
      return { ids, result, encodeMs, maxDelayMs: eventLoop.stop(), elapsedMs: performance.now() - started };
    } finally {
      eventLoop.stop();
    }
  }

  async #idsOf(prompt: Prompt, { signal }: RunHooks): Promise<Int32Array> {
    const limits = this.#promptLimits();
    const text = await promptText(prompt);
    if (text === undefined) return idsOf(prompt as { ids: ArrayLike<number> }, limits);
    const ids = await this.encode(text, signal ? { signal } : {});
    checkPromptIds(ids, limits);
    return ids;
  }

  #promptLimits(): PromptLimits {
    return { contextLength: this.plan.model.shape.contextLength, vocabSize: this.model.config.vocabSize };
  }

  async *#stream(
    prefilled: Prefilled,
    options: GenerationOptions,
    hooks: RunHooks,
    generation: Generation,
    started: number,
  ): AsyncGenerator<GeneratedToken, void> {
    const stop = new AbortController();
    const signal = hooks.signal ? AbortSignal.any([hooks.signal, stop.signal]) : stop.signal;
    let stream: StreamState = { seen: new Set(prefilled.ids), generated: 0, text: noText };
    let sequence = prefilled.result.sequence;
    let decode = noDecodeStats;
    let finish: FinishReason | undefined;
    let text = "";
    let firstTokenMs = 0;
    const eventLoop = watchEventLoop();
    try {
      while (!finish) {
        const queue = new TokenQueue<GeneratedToken>();
        const body = {
          type: "decode" as const,
          context: this.#context,
          sequence,
          stream,
          options,
          sliceMilliseconds: SLICE_MS,
        };
        const slice = this.#pool.run<DecodeResult>(body satisfies Omit<DecodeTask, "cancel" | "calls" | "events">, {
          signal,
          onEvent: (event) => event.event === "token" && queue.push(event.token),
        });
        for await (const token of queue.until(slice)) {
          firstTokenMs ||= performance.now() - started;
          text += token.text;
          yield token;
        }
        const result = await slice;
        ({ sequence, stream, finish } = result);
        decode = addDecodeStats(decode, result.stats);
      }
    } finally {
      stop.abort(new WinnowError("ERR_CANCELLED", "The caller stopped reading tokens."));
      eventLoop.stop();
    }
    const maxDelayMs = Math.max(prefilled.maxDelayMs, eventLoop.stop());
    generation.finish(
      finish,
      this.#remember(prefilled, { options, stream, decode, finish, text, firstTokenMs, maxDelayMs, started }),
    );
  }

  #remember(prefilled: Prefilled, run: FinishedRun): Receipt {
    this.#last = buildReceipt({
      plan: this.plan,
      isa: this.#isa,
      dense: run.options.dense,
      answer: { tokens: run.stream.generated, text: run.text, finish: run.finish },
      encodeMs: prefilled.encodeMs,
      timeToFirstTokenMs: run.firstTokenMs,
      totalMs: performance.now() - run.started,
      maxDelayMs: run.maxDelayMs,
      prefill: prefilled.result.stats,
      decode: run.decode,
      weights: this.#weightFormats,
      pruned: this.#pruned,
    });
    return this.#last;
  }
}

export interface ScoreOptions extends RunHooks {
  readonly prefilled?: number;
  /** Of the prefilled tokens, the last ones that use the selections of weights which choose what to skip. Default 0. */
  readonly sparseTokens?: number;
  /** Without maskers, KV pruners and selections. */
  readonly dense?: boolean;
}

interface FinishedRun {
  readonly options: GenerationOptions;
  readonly stream: StreamState;
  readonly decode: DecodeResult["stats"];
  readonly finish: FinishReason;
  readonly text: string;
  readonly firstTokenMs: number;
  readonly maxDelayMs: number;
  readonly started: number;
}

interface Prefilled {
  readonly ids: Int32Array;
  readonly result: PrefillResult;
  readonly encodeMs: number;
  readonly elapsedMs: number;
  readonly maxDelayMs: number;
}

function checkScored(length: number, prefilled: number, sparseTokens: number): void {
  const whole = (value: number, least: number, most: number) =>
    Number.isInteger(value) && value >= least && value <= most;
  if (length >= 2 && whole(prefilled, 1, length) && whole(sparseTokens, 0, prefilled)) return;
  throw new WinnowError(
    "ERR_GENERATION_OPTION",
    `Cannot score ${length} tokens: there must be at least 2, prefilled must be in 1..${length} (got ${prefilled}) and sparseTokens in 0..prefilled (got ${sparseTokens}).`,
  );
}

function checkReserve(reserve: number): void {
  if (Number.isInteger(reserve) && reserve >= 0) return;
  throw new WinnowError(
    "ERR_GENERATION_OPTION",
    `Cannot prefill: reserve must be a whole number of tokens, at least 0, got ${JSON.stringify(reserve)}.`,
  );
}

function handlers(hooks: RunHooks): TaskHandlers {
  return {
    ...(hooks.signal && { signal: hooks.signal }),
    ...(hooks.onProgress && {
      onEvent: (event) => event.event === "progress" && hooks.onProgress?.(event.share, event.label),
    }),
  };
}

function split({ signal, onProgress, ...rest }: GenerateInput): { hooks: RunHooks; options: GenerationOptions } {
  return {
    hooks: { ...(signal && { signal }), ...(onProgress && { onProgress }) },
    options: resolveGenerationOptions(rest),
  };
}
