import type { Activation, LinearWeight } from "@winnow/core";
import { WinnowError } from "@winnow/core";
import { activate, project } from "./graph-parts.js";
import { OnnxGraph } from "./onnx-model.js";
import { checkThreads, loadOnnxRuntime, privateView } from "./onnx-runtime.js";
import { LazySessions } from "./sessions.js";
import { checkWeight, type FloatWeight } from "./weights.js";

/** A prepared projection: the sizes that it takes. */
export interface LinearHandle {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** A prepared gated MLP; `inFeatures` and `outFeatures` are both the model's width. */
export type MlpHandle = LinearHandle & { readonly kind: "mlp" };

export interface MlpWeights {
  readonly gate: FloatWeight;
  readonly up: FloatWeight;
  readonly down: FloatWeight;
  readonly activation: Activation;
}

/**
 * Dense projections through ONNX Runtime, with sums in float32 (inputs of bf16 weights are rounded to bf16 first, as the formats define), for the layer loop of one worker to await. Never on a main thread: a run blocks
 * the event loop of its thread for as long as it computes.
 *
 * A handle's session is made at its first use; the weights it was prepared from are copied then and must not change before.
 * Inputs in shared memory are copied first (`rows * inFeatures` floats), results are copied out of ONNX Runtime (`rows * outFeatures` floats).
 * Sizes that do not fit throw `ERR_OPERATION_ARGUMENT`, formats other than `dense` and `dense-panel16` `ERR_KERNEL_UNSUPPORTED`,
 * use after `close` `ERR_ENGINE_CLOSED`.
 */
export interface OnnxDense {
  /** Several weights with the same inputs (q, k and v) make one session whose outputs stand side by side: `[rows, sum of outFeatures]`. */
  prepare(name: string, weights: LinearWeight | readonly LinearWeight[]): LinearHandle;
  /** `out[r, o] = sum_i x[r, i] * weight[o, i] + bias[o]`, or `+=` with `accumulate`; x `[rows, in]`, out `[rows, out]`. */
  linear(handle: LinearHandle, x: Float32Array, rows: number, out: Float32Array, accumulate?: boolean): Promise<void>;
  prepareMlp(name: string, weights: MlpWeights): MlpHandle;
  /** `out = down(activation(gate(x)) * up(x))`; x and out `[rows, width]`. One session: the inner width never leaves ONNX Runtime. */
  mlp(handle: MlpHandle, x: Float32Array, rows: number, out: Float32Array): Promise<void>;
  /** Releases all sessions. */
  close(): Promise<void>;
}

/** @param options.threads Threads of each operation, the calling one included. */
export function createOnnxDense(options: { readonly threads: number }): OnnxDense {
  checkThreads(options.threads);
  // Many sessions take turns: spinning threads of those that wait would take the cores from the one that runs.
  const sessions = new LazySessions<LinearHandle>({ threads: options.threads, spinning: false });

  async function run(handle: LinearHandle, x: Float32Array, rows: number, out: Float32Array, accumulate: boolean) {
    checkRun(handle, x, rows, out);
    if (rows === 0) return;
    const session = await sessions.get(handle);
    const { Tensor } = await loadOnnxRuntime();
    const input = privateView(x, rows * handle.inFeatures);
    const { y } = await session.run({ x: new Tensor("float32", input, [rows, handle.inFeatures]) });
    const result = y.data as Float32Array;
    if (!accumulate) out.set(result);
    else for (let i = 0; i < result.length; i++) out[i] += result[i];
  }

  return {
    prepare(name, weights) {
      const list = checkGroup(name, "format" in weights ? [weights] : weights);
      const handle = { name, inFeatures: list[0].inFeatures, outFeatures: sumOutFeatures(list) };
      sessions.add(handle, () => linearGraph(handle, list));
      return handle;
    },
    linear: (handle, x, rows, out, accumulate = false) => run(handle, x, rows, out, accumulate),
    prepareMlp(name, weights) {
      checkMlp(name, weights);
      const { inFeatures } = weights.gate;
      const handle = { kind: "mlp", name, inFeatures, outFeatures: weights.down.outFeatures } as const;
      sessions.add(handle, () => mlpGraph(handle, weights));
      return handle;
    },
    mlp: (handle, x, rows, out) => run(handle, x, rows, out, false),
    close: () => sessions.close(),
  };
}

function linearGraph({ name, inFeatures, outFeatures }: LinearHandle, weights: readonly FloatWeight[]): OnnxGraph {
  const graph = new OnnxGraph(name);
  const x = graph.input("x", "float32", ["rows", inFeatures]);
  const parts = weights.map((weight, i) => project(graph, `part${i}`, x, weight));
  graph.nodeTo(["y"], "Concat", parts, { axis: 1 });
  graph.output("y", "float32", ["rows", outFeatures]);
  return graph;
}

function mlpGraph({ name, inFeatures, outFeatures }: MlpHandle, weights: MlpWeights): OnnxGraph {
  const graph = new OnnxGraph(name);
  const x = graph.input("x", "float32", ["rows", inFeatures]);
  const gate = activate(graph, project(graph, "gate", x, weights.gate), weights.activation);
  const inner = graph.node("Mul", [gate, project(graph, "up", x, weights.up)]);
  graph.nodeTo(["y"], "Identity", [project(graph, "down", inner, weights.down)]);
  graph.output("y", "float32", ["rows", outFeatures]);
  return graph;
}

function sumOutFeatures(weights: readonly LinearWeight[]): number {
  return weights.reduce((sum, weight) => sum + weight.outFeatures, 0);
}

function checkGroup(name: string, list: readonly LinearWeight[]): readonly FloatWeight[] {
  const weights = list.map(checkWeight);
  const widths = new Set(weights.map((weight) => weight.inFeatures));
  if (widths.size === 1) return weights;
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot prepare "${name}": its weights must be one or more and have equal inFeatures, got [${[...widths].join(", ")}]. Prepare the others apart.`,
  );
}

function checkMlp(name: string, { gate, up, down }: MlpWeights): void {
  for (const weight of [gate, up, down]) checkWeight(weight);
  const fits =
    gate.inFeatures === up.inFeatures &&
    gate.outFeatures === up.outFeatures &&
    down.inFeatures === up.outFeatures &&
    down.outFeatures === gate.inFeatures;
  if (fits) return;
  const sizes = [gate, up, down].map((weight) => `${weight.outFeatures} x ${weight.inFeatures}`).join(", ");
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot prepare MLP "${name}": gate and up must be inner x width and down width x inner, got ${sizes}. Pass weights of one layer.`,
  );
}

function checkRun(handle: LinearHandle, x: Float32Array, rows: number, out: Float32Array): void {
  const { name, inFeatures, outFeatures } = handle;
  const fits = Number.isInteger(rows) && rows >= 0 && x.length >= rows * inFeatures && out.length >= rows * outFeatures;
  if (fits) return;
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot run "${name}" (${outFeatures} x ${inFeatures}) on ${rows} rows: rows must be an integer >= 0 and the buffers hold them, got ${x.length} inputs and ${out.length} outputs. Pass larger buffers or fewer rows.`,
  );
}
