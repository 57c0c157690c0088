import type { Activation } from "@winnow/core";
import { MICROSOFT, type OnnxGraph } from "./onnx-model.js";
import { denseRows, type FloatWeight } from "./weights.js";

/** `to` of a Cast. */
const FLOAT32 = 1;
const BFLOAT16 = 16;

/** Adds `x * weight^T + bias` for x `[rows, in]`, rounded to bf16 first if the weight is (see `DensePanelWeight`). Gemm with transB takes model files' layout as it is and packs it once, when the session is made. */
export function project(graph: OnnxGraph, name: string, x: string, weight: FloatWeight): string {
  const { outFeatures, inFeatures, bias, dtype } = weight;
  const input = dtype === "bf16" ? graph.node("Cast", [graph.node("Cast", [x], { to: BFLOAT16 })], { to: FLOAT32 }) : x;
  const inputs = [input, graph.initializer(`${name}.weight`, denseRows(weight), [outFeatures, inFeatures])];
  if (bias) inputs.push(graph.initializer(`${name}.bias`, bias, [outFeatures]));
  return graph.node("Gemm", inputs, { transB: 1 });
}

/** Adds an {@link Activation}, same shape as `x`. */
export function activate(graph: OnnxGraph, x: string, activation: Activation): string {
  switch (activation) {
    case "silu":
      return graph.node("Mul", [x, graph.node("Sigmoid", [x])]);
    case "gelu":
      return graph.node("Gelu", [x], { approximate: "none" });
    case "gelu-tanh":
      return graph.node("Gelu", [x], { approximate: "tanh" });
    case "relu":
      return graph.node("Relu", [x]);
  }
}

export interface GroupQueryAttentionInputs {
  /** `[1, n, h * d]`, or packed `[1, n, (h + 2 hKv) * d]` with empty names for k and v. */
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly pastKey: string;
  readonly pastValue: string;
  /** int32 `[1]`: cached tokens including the new ones, minus 1. */
  readonly lastIndex: string;
  /** int32 scalar: cached tokens including the new ones. */
  readonly totalLength: string;
  /** `[positions, d / 2]`; with both, q and k are rotated first (half-split form). */
  readonly cos?: string;
  readonly sin?: string;
}

/** Adds causal attention `[1, n, h * d]` with outputs `output`, `presentKey` and `presentValue` (`[1, hKv, total, d]`). */
export function groupQueryAttention(
  graph: OnnxGraph,
  outputs: { output: string; presentKey: string; presentValue: string },
  inputs: GroupQueryAttentionInputs,
  shape: { queryHeads: number; kvHeads: number; scale: number },
): void {
  const { q, k, v, pastKey, pastValue, lastIndex, totalLength, cos, sin } = inputs;
  graph.nodeTo(
    [outputs.output, outputs.presentKey, outputs.presentValue],
    "GroupQueryAttention",
    [q, k, v, pastKey, pastValue, lastIndex, totalLength, ...(cos && sin ? [cos, sin] : [])],
    {
      num_heads: shape.queryHeads,
      kv_num_heads: shape.kvHeads,
      scale: { float: shape.scale },
      do_rotary: cos && sin ? 1 : 0,
    },
    MICROSOFT,
  );
}
