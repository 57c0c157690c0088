import type { ModelShape } from "./model-shape.js";
import type { Operations } from "./operations.js";
import type { HeadTensor } from "./tensor.js";

/** What an offline search of a plugin may use: dense runs of the model, seen layer by layer. Runs in a worker. */
export interface TuneContext {
  readonly model: ModelShape;
  readonly scale: number;
  readonly operations: Operations;
  /** Calibration prompts, as token ids. */
  readonly prompts: readonly Int32Array[];
  /** Dense prefill of a prompt; `visit` sees every layer's attention inputs. Buffers are re-used: copy what must stay. */
  prefill(prompt: Int32Array, visit: (layer: number, inputs: AttentionInputs) => void | Promise<void>): Promise<void>;
  /** Dense prefill, then `steps` dense greedy tokens; `visit` sees every layer of every step with the cache (new token included). */
  decode(
    prompt: Int32Array,
    steps: number,
    visit: (step: number, layer: number, inputs: AttentionInputs) => void,
  ): Promise<void>;
  /** Share of the work done, in [0, 1], and what is being done. */
  progress(share: number, label: string): void;
}

export interface AttentionInputs {
  /** `[h, nQ, d]` after RoPE. */
  readonly q: HeadTensor;
  /** `[hKv, nK, d]`. */
  readonly k: HeadTensor;
  readonly v: HeadTensor;
}

/** Outcome of a search. */
export interface TuneResult {
  /** Options to put into the YAML. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Files to write beside it (name, text), e.g. a head configuration of the paper's format. */
  readonly files: readonly { readonly name: string; readonly text: string }[];
  /** Rows for a printed table. */
  readonly report: readonly Readonly<Record<string, string | number>>[];
}
