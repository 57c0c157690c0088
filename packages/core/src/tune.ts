import type { LinearWeight } from "./linear-weight.js";
import type { ModelShape } from "./model-shape.js";
import type { Activation, Operations } from "./operations.js";
import type { HeadTensor } from "./tensor.js";
import type { Projection } from "./weight-sparsifier.js";

/** What an offline search of a plugin may use: runs of the model, seen layer by layer. Runs in a worker. */
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
  readonly weights: TuneWeights;
  /** Share of the work done, in [0, 1], and what is being done. */
  progress(share: number, label: string): void;
}

/** The model's matrices, for searches over weight sparsity. */
export interface TuneWeights {
  readonly activation: Activation;
  /** One matrix of the model. */
  get(layer: number, projection: Projection): LinearWeight;
  /** Residual stream before `layer`, `[tokens, hidden]`, of a dense run of a prompt. */
  residual(prompt: Int32Array, layer: number): Promise<Float32Array>;
  /** Inputs of the four places of `layer` in a dense run of a prompt, `[tokens, in]`: of q, k, v; of o; of gate, up; of down. */
  inputs(prompt: Int32Array, layer: number): Promise<ProjectionInputs>;
  /**
   * One layer with other matrices: the residual stream after it, `[tokens, hidden]`. The last `sparseTokens` tokens use the selections of the matrices that
   * have one.
   */
  runLayer(layer: number, residual: Float32Array, other: OtherWeights, sparseTokens: number): Promise<Float32Array>;
  /**
   * exp of the mean negative log-likelihood of the prompts' tokens but the first of each, with other matrices in some places.
   * `sparseShare` of each prompt's tokens, the last ones, use selections.
   */
  perplexity(other: ReadonlyMap<number, OtherWeights>, sparseShare: number): Promise<number>;
}

export type OtherWeights = Readonly<Partial<Record<Projection, LinearWeight>>>;

/** The input that each matrix reads; some share one. */
export const projectionInput: Readonly<Record<Projection, keyof ProjectionInputs>> = {
  q_proj: "attention",
  k_proj: "attention",
  v_proj: "attention",
  o_proj: "attentionOutput",
  gate_proj: "mlp",
  up_proj: "mlp",
  down_proj: "down",
};

/** Inputs of a layer's matrices, `[tokens, in]`. */
export interface ProjectionInputs {
  readonly attention: Float32Array;
  readonly attentionOutput: Float32Array;
  readonly mlp: Float32Array;
  readonly down: Float32Array;
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
