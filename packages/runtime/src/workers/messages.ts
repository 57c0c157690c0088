import type { MessagePort } from "node:worker_threads";
import type { PlainError } from "@winnow/core";
import type { PlacedValue } from "../config/place.js";
import type { GenerationOptions } from "../engine/generation-options.js";
import type { SamplerState, TokenProbability } from "../engine/sampler.js";
import type { SequenceState } from "../engine/sequence.js";
import type { PlanOptions } from "../plan/make-plan.js";
import type { Plan } from "../plan/plan.js";
import type { PruneStep } from "../prune/tasks.js";
import type { DecodeStats, PrefillStats } from "../receipt/stats.js";
import type { LoadedModel } from "./loaded-model.js";
import type { TextState } from "./worker/text-stream.js";

/** What crosses to a worker: plain data and shared memory, never objects with code. */
export type Task =
  | PlanTask
  | LoadTask
  | OpenTask
  | EncodeTask
  | PrefillTask
  | DecodeTask
  | TuneTask
  | ScoreTask
  | PruneTask;

interface TaskBase {
  /** One element; set to 1 to stop. Shared. */
  readonly cancel: Int32Array;
  /** Where the worker writes which plugin calls it is in (`registry/plugin-calls.ts`). */
  readonly calls: SharedArrayBuffer;
  /** Progress and tokens go out here while the task runs. */
  readonly events: MessagePort;
}

/** What every task of an engine needs; a worker belongs to one engine and opens it with its first task. */
export interface EngineContext {
  readonly plan: Plan;
  readonly model: LoadedModel;
}

/** Makes a plan, which runs code of plugins: their modules, schemas and checks. */
export interface PlanTask extends TaskBase, PlanOptions {
  readonly type: "plan";
  readonly config: {
    readonly placed: PlacedValue;
    readonly folder: string;
    /** Absent for an object of a program. */
    readonly file?: string;
  };
  /** Files and folders whose code the configuration may name by path. */
  readonly allowPlugins: readonly string[];
}

/** Reads weights into shared memory, once per engine. */
export interface LoadTask extends TaskBase {
  readonly type: "load";
  readonly plan: Plan;
}

/** Gets a worker ready: kernels, plugins, tokenizer, prepared weights. */
export interface OpenTask extends TaskBase {
  readonly type: "open";
  readonly context: EngineContext;
}

/** Text to token ids. */
export interface EncodeTask extends TaskBase {
  readonly type: "encode";
  readonly context: EngineContext;
  readonly text: string;
}

/** A whole prompt, layer by layer. */
export interface PrefillTask extends TaskBase {
  readonly type: "prefill";
  readonly context: EngineContext;
  readonly ids: Int32Array;
  /** Room for this many more tokens in the cache. */
  readonly reserve: number;
  readonly dense: boolean;
}

/** A slice of a decode stream: tokens until the time is up, something stops it, or `remaining` is reached. */
export interface DecodeTask extends TaskBase {
  readonly type: "decode";
  readonly context: EngineContext;
  readonly sequence: SequenceState;
  readonly stream: StreamState;
  readonly options: GenerationOptions;
  readonly sliceMilliseconds: number;
}

/** A text whose tokens are known: how likely the model finds them. */
export interface ScoreTask extends TaskBase {
  readonly type: "score";
  readonly context: EngineContext;
  readonly ids: Int32Array;
  /** Tokens that go through prefill; the others are fed one at a time, as decoding does. */
  readonly prefilled: number;
  /** Of the prefilled tokens, the last ones that use the selections of the weights. */
  readonly sparseTokens: number;
  readonly dense: boolean;
}

export interface ScoreResult {
  /** -ln p of tokens `[ids.length - losses.length, ids.length)`: all but the first, or those after the prefilled ones. */
  readonly losses: Float64Array;
  readonly prefill: PrefillStats;
  readonly decode: DecodeStats;
}

/** An offline search of a plugin. */
export interface TuneTask extends TaskBase {
  readonly type: "tune";
  readonly context: EngineContext;
  readonly plugin: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly prompts: readonly Int32Array[];
}

/** A piece of pruning; needs no loaded model. */
export interface PruneTask extends TaskBase {
  readonly type: "prune";
  readonly plan: Plan;
  readonly step: PruneStep;
}

/** Where a token stream stands between slices. */
export interface StreamState {
  /** Ids of prompt and answer: what the repetition penalty has seen. */
  readonly seen: ReadonlySet<number>;
  readonly generated: number;
  readonly sampler?: SamplerState;
  readonly text: TextState;
}

export interface LoadResult {
  readonly model: LoadedModel;
  /** Instruction set of each kernel package. */
  readonly isa: Readonly<Record<string, string>>;
  /** Absent where no sparsifier ran while the model was loaded. */
  readonly pruned?: PrunedOnLoad;
}

/** How the weights became sparse while a model was loaded. */
export interface PrunedOnLoad {
  /** Whether the results of an earlier start were taken. */
  readonly reused: boolean;
  readonly seconds: number;
}

export interface PrefillResult {
  readonly sequence: SequenceState;
  readonly stats: PrefillStats;
}

export interface DecodeResult {
  readonly sequence: SequenceState;
  readonly stream: StreamState;
  readonly stats: DecodeStats;
  /** Absent while the stream goes on. */
  readonly finish?: FinishReason;
}

export type FinishReason = "stop-id" | "stop-string" | "end-of-sequence" | "length" | "context-full";

/** One generated token. `text` is what became readable with it (may be empty, never half a character). */
export interface GeneratedToken {
  readonly id: number;
  readonly text: string;
  readonly logProbability: number;
  readonly top: readonly TokenProbability[];
}

export type WorkerEvent =
  | { readonly event: "progress"; readonly share: number; readonly label: string }
  | { readonly event: "token"; readonly token: GeneratedToken };

/** Every task answers with one of these: errors keep their code and fields. */
export type TaskOutcome<Result> = { readonly ok: Result } | { readonly error: PlainError };
