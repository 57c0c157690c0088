import { fromBf16 } from "@winnow/core";
import type { LoadedTensor, ModelConfig } from "@winnow/models";

export type Matrix = readonly (readonly number[])[];

export interface NaiveInputs {
  /** Of q, k and v. */
  readonly attention: Matrix;
  /** Of o. */
  readonly attentionOutput: Matrix;
  /** Of gate and up. */
  readonly mlp: Matrix;
  readonly activatedGate: Matrix;
  /** Of down. */
  readonly down: Matrix;
  /** The residual stream after the layer. */
  readonly output: Matrix;
}

/** A tensor of a model file as rows of numbers; a vector is one row. */
export function matrixOf({ data, shape, dtype }: LoadedTensor): Matrix {
  const width = shape[shape.length - 1];
  const numbers = Array.from(data as Float32Array, (value) => (dtype === "BF16" ? fromBf16(value) : value));
  return Array.from({ length: numbers.length / width }, (_, row) => numbers.slice(row * width, (row + 1) * width));
}

/** One Llama layer over one sequence, written from the equations in float64, all intermediate inputs kept. */
export function naiveLayer(config: ModelConfig, tensor: (name: string) => Matrix, residual: Matrix): NaiveInputs {
  const { queryHeads, kvHeads, headDim } = config;
  const times = (x: Matrix, w: Matrix) => x.map((row) => w.map((weights) => dot(row, weights)));
  const plus = (a: Matrix, b: Matrix) => a.map((row, t) => row.map((value, c) => value + b[t][c]));
  const norm = (x: Matrix, name: string) => {
    const [weight] = tensor(name);
    return x.map((row) => {
      const scale = 1 / Math.sqrt(dot(row, row) / row.length + config.normEpsilon);
      return row.map((value, c) => value * scale * weight[c]);
    });
  };
  const rotate = (x: Matrix) =>
    x.map((row, position) =>
      row.map((value, c) => {
        const channel = c % headDim;
        const half = headDim / 2;
        const angle = position / 10000 ** ((2 * (channel % half)) / headDim);
        const other = channel < half ? -row[c + half] : row[c - half];
        return value * Math.cos(angle) + other * Math.sin(angle);
      }),
    );

  const attention = norm(residual, "input_layernorm.weight");
  const q = rotate(times(attention, tensor("self_attn.q_proj.weight")));
  const k = rotate(times(attention, tensor("self_attn.k_proj.weight")));
  const v = times(attention, tensor("self_attn.v_proj.weight"));
  const attentionOutput = q.map((row, t) =>
    Array.from({ length: queryHeads }, (_, head) => {
      const kv = Math.floor(head / (queryHeads / kvHeads)) * headDim;
      const query = row.slice(head * headDim, (head + 1) * headDim);
      const weights = k
        .slice(0, t + 1)
        .map((key) => Math.exp(dot(query, key.slice(kv, kv + headDim)) / Math.sqrt(headDim)));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return Array.from({ length: headDim }, (__, c) =>
        weights.reduce((sum, weight, j) => sum + (weight / total) * v[j][kv + c], 0),
      );
    }).flat(),
  );
  const between = plus(residual, times(attentionOutput, tensor("self_attn.o_proj.weight")));
  const mlp = norm(between, "post_attention_layernorm.weight");
  const activatedGate = times(mlp, tensor("mlp.gate_proj.weight")).map((row) =>
    row.map((value) => value / (1 + Math.exp(-value))),
  );
  const up = times(mlp, tensor("mlp.up_proj.weight"));
  const down = activatedGate.map((row, t) => row.map((value, c) => value * up[t][c]));
  const output = plus(between, times(down, tensor("mlp.down_proj.weight")));
  return { attention, attentionOutput, mlp, activatedGate, down, output };
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * b[index], 0);
}
