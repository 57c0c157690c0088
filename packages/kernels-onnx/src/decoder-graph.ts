import { groupQueryAttention } from "./graph-parts.js";
import { addMatMul } from "./mat-mul.js";
import { MICROSOFT, OnnxGraph } from "./onnx-model.js";

/** Sizes and constants of a decoder in Llama layout. */
export interface BaselineConfig {
  readonly layers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly rmsNormEpsilon: number;
  /** `[headDim / 2]`: angle per position of each pair of channels, e.g. `theta ^ (-2 i / headDim)`. */
  readonly inverseFrequencies: Float32Array;
  /** The head is the embedding table. */
  readonly tiedEmbeddings: boolean;
}

/** Weights by their Hugging Face names (`model.layers.0.self_attn.q_proj.weight`, ...), row-major float32. */
export interface BaselineModel {
  readonly config: BaselineConfig;
  tensors(name: string): Float32Array;
}

/** `f32`: everything float32. `int8`: weights of all projections and the head in 8 bits, activations quantised at run time. */
export type BaselinePrecision = "f32" | "int8";

/** Name of the cache of one layer, as an input (`past`) and as an output (`present`): `[1, hKv, length, d]`. */
export function cacheName(when: "past" | "present", layer: number, part: "key" | "value"): string {
  return `${when}.${layer}.${part}`;
}

/**
 * The whole forward pass as one ONNX graph. Inputs: `ids` int64 `[1, n]`, `lastIndex` and `totalLength` (see `groupQueryAttention`), the caches.
 * Outputs: `logits` `[1, vocab]` of the last position only, and the caches with the new tokens at the end.
 */
export function decoderGraph(model: BaselineModel, precision: BaselinePrecision): OnnxGraph {
  const { config } = model;
  const graph = new OnnxGraph("decoder");
  const sequence = sequenceInputs(graph, config);
  const table = weight("model.embed_tokens.weight", [config.vocabSize, config.hiddenSize]);
  let residual = graph.node("Gather", [table, graph.input("ids", "int64", [1, "n"])]);
  let branch = "";
  for (let layer = 0; layer < config.layers; layer++) {
    branch = attention(layer, addAndNorm(`model.layers.${layer}.input_layernorm.weight`));
    branch = mlp(`model.layers.${layer}.mlp`, addAndNorm(`model.layers.${layer}.post_attention_layernorm.weight`));
  }
  head(addAndNorm("model.norm.weight"));
  return graph;

  function weight(name: string, dims: readonly number[]): string {
    return graph.initializer(name, model.tensors(name), dims);
  }

  function project(x: string, names: readonly string[], outFeatures: readonly number[], inFeatures: number): string {
    const rows = names.map((name) => model.tensors(`${name}.weight`));
    return addMatMul(graph, x, { name: names.join("|"), rows, outFeatures, inFeatures }, precision);
  }

  /** Adds the pending branch to the residual stream and normalises the sum; in one operator, as ONNX Runtime's own exporter does. */
  function addAndNorm(gamma: string): string {
    const scale = weight(gamma, [config.hiddenSize]);
    const epsilon = { float: config.rmsNormEpsilon };
    if (!branch) return graph.node("SimplifiedLayerNormalization", [residual, scale], { axis: -1, epsilon });
    const [normed, sum] = [`${gamma}.normed`, `${gamma}.sum`];
    const inputs = [residual, branch, scale];
    graph.nodeTo([normed, "", "", sum], "SkipSimplifiedLayerNormalization", inputs, { epsilon }, MICROSOFT);
    residual = sum;
    return normed;
  }

  function attention(layer: number, x: string): string {
    const { queryHeads, kvHeads, headDim, hiddenSize } = config;
    const prefix = `model.layers.${layer}.self_attn`;
    const names = ["q_proj", "k_proj", "v_proj"].map((part) => `${prefix}.${part}`);
    const [width, kvWidth] = [queryHeads * headDim, kvHeads * headDim];
    const packed = project(x, names, [width, kvWidth, kvWidth], hiddenSize);
    const output = `${prefix}.out`;
    groupQueryAttention(
      graph,
      { output, presentKey: cache("present", layer, "key"), presentValue: cache("present", layer, "value") },
      {
        ...sequence,
        ...{ q: packed, k: "", v: "" },
        ...{ pastKey: cache("past", layer, "key"), pastValue: cache("past", layer, "value") },
      },
      { queryHeads, kvHeads, scale: 1 / Math.sqrt(headDim) },
    );
    return project(output, [`${prefix}.o_proj`], [hiddenSize], width);
  }

  function cache(when: "past" | "present", layer: number, part: "key" | "value"): string {
    const name = cacheName(when, layer, part);
    const dims = [1, config.kvHeads, when === "past" ? "past" : "total", config.headDim];
    if (when === "past") return graph.input(name, "float32", dims);
    graph.output(name, "float32", dims);
    return name;
  }

  function mlp(prefix: string, x: string): string {
    const { hiddenSize, intermediateSize } = config;
    const [gate, up] = ["gate_proj", "up_proj"].map((part) =>
      project(x, [`${prefix}.${part}`], [intermediateSize], hiddenSize),
    );
    const gated = graph.node("Mul", [gate, graph.node("Sigmoid", [gate])]);
    return project(graph.node("Mul", [gated, up]), [`${prefix}.down_proj`], [hiddenSize], intermediateSize);
  }

  function head(x: string): void {
    const { vocabSize, hiddenSize, tiedEmbeddings } = config;
    const last = graph.node("Gather", [x, graph.initializer("lastPosition", BigInt64Array.of(-1n), [])], { axis: 1 });
    const name = tiedEmbeddings ? "model.embed_tokens" : "lm_head";
    graph.nodeTo(["logits"], "Identity", [project(last, [name], [vocabSize], hiddenSize)]);
    graph.output("logits", "float32", [1, vocabSize]);
  }
}

function sequenceInputs(graph: OnnxGraph, config: BaselineConfig) {
  const { contextLength, headDim, inverseFrequencies } = config;
  const table = (name: string, turn: (angle: number) => number) => {
    // Angles are rounded to float32 before the cosine, as Hugging Face does.
    const values = Float32Array.from({ length: (contextLength * headDim) / 2 }, (_, i) =>
      turn(Math.fround(Math.floor(i / (headDim / 2)) * inverseFrequencies[i % (headDim / 2)])),
    );
    return graph.initializer(name, values, [contextLength, headDim / 2]);
  };
  return {
    lastIndex: graph.input("lastIndex", "int32", [1]),
    totalLength: graph.input("totalLength", "int32", [1]),
    cos: table("cos", Math.cos),
    sin: table("sin", Math.sin),
  };
}
