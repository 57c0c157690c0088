import type { HeadTensor, KvPruner, ModelShape, Operations, ReadPlan } from "@winnow/core";

/** Attention inputs of one layer: q `[h, 1, d]`, k and v `[hKv, n, d]`. */
export interface LayerInputs {
  readonly q: HeadTensor;
  readonly k: HeadTensor;
  readonly v: HeadTensor;
}

/** Runs one layer of one decode step through the hooks of a selecting pruner. Returns the plan and the attention output `[h, d]`. */
export function runLayer<State>(
  pruner: KvPruner<State>,
  state: State,
  { q, k, v }: LayerInputs,
  at: { model: ModelShape; layer: number; step: number },
  operations: Operations,
): { plan: ReadPlan; output: Float32Array } {
  const scale = 1 / Math.sqrt(q.headDim);
  const context = { ...at, position: k.length - 1, q, k, length: k.length, scale, primitives: operations };
  const plan = pruner.select!(context, state);
  const output = new Float32Array(q.heads * q.headDim);
  const out = { ...q, data: output, offset: 0, headStride: q.headDim, tokenStride: q.headDim };
  const scores = plan.read === "all" && plan.scores ? new Float32Array(q.heads * k.length) : undefined;
  operations.decodeAttention({
    ...{ q, k, v, out, scale },
    ...(plan.read === "lists" && { tokens: plan.lists }),
    ...(scores && { scores }),
  });
  if (scores) pruner.observe!(context, state, scores);
  return { plan, output };
}
