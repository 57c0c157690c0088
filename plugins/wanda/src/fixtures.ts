import {
  type DenseWeight,
  type Fixture,
  type FixtureRunner,
  type Operations,
  type Projection,
  type WeightContext,
  withoutWeights,
} from "@winnow/core";
import { options } from "./options.js";
import { wanda } from "./wanda.js";

const runners = { single: runSingle, blocks: runBlocks };

export const fixtures: FixtureRunner = {
  kinds: Object.keys(runners),
  run: (fixture, operations) => runners[fixture.kind as keyof typeof runners](fixture, operations),
};

interface Pruned {
  readonly weight: DenseWeight;
  readonly kept: Uint8Array;
  /** Mean over sequences of the sum of squares, the statistic of the reference code. */
  readonly scaler: Float32Array;
}

/** One linear. */
function runSingle(fixture: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const { kept, scaler } = prune(fixture, weightOf(fixture, "in.w"), dataOf(fixture, "in.x"), "q_proj", operations);
  return { "mid.scaler": scaler, "out.keep": kept };
}

/**
 * Two gated blocks y = x + W_down(silu(W_gate x) * (W_up x)): the statistics of a block come from its still dense matrices, its inputs from the
 * pruned block before it.
 */
function runBlocks(fixture: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const outputs: Record<string, ArrayLike<number>> = {};
  let x = dataOf(fixture, "in.x");
  for (const block of [0, 1]) {
    const dense = block3((name) => weightOf(fixture, `in.w${block}.${name}`));
    const inner = innerOf(x, dense, operations);
    const pruned = block3((name) =>
      prune(fixture, dense[name], name === "down" ? inner : x, `${name}_proj`, operations),
    );
    for (const [name, { kept, scaler }] of Object.entries(pruned)) {
      outputs[`mid.scaler${block}.${name}`] = scaler;
      outputs[`out.keep${block}.${name}`] = kept;
    }
    x = blockOutput(
      x,
      block3((name) => pruned[name].weight),
      operations,
    );
  }
  return outputs;
}

type Block<T> = Record<"gate" | "up" | "down", T>;

function block3<T>(make: (name: keyof Block<T>) => T): Block<T> {
  return { gate: make("gate"), up: make("up"), down: make("down") };
}

/** silu(W_gate x) * (W_up x). */
function innerOf(x: Float32Array, { gate, up }: Block<DenseWeight>, operations: Operations): Float32Array {
  const inner = multiply(x, gate, operations);
  operations.gatedActivation(inner, multiply(x, up, operations), inner.length, "silu");
  return inner;
}

function blockOutput(x: Float32Array, block: Block<DenseWeight>, operations: Operations): Float32Array {
  const out = multiply(innerOf(x, block, operations), block.down, operations);
  operations.add(out, x, x.length);
  return out;
}

function multiply(x: Float32Array, weight: DenseWeight, operations: Operations): Float32Array {
  const rows = x.length / weight.inFeatures;
  const out = new Float32Array(rows * weight.outFeatures);
  operations.linear(x, rows, operations.packWeight(weight, "f32"), out);
  return out;
}

function prune(
  { params }: Fixture,
  weight: DenseWeight,
  x: Float32Array,
  projection: Projection,
  operations: Operations,
): Pruned {
  const { sequences, tokens, sparsity, pattern, variant } = params as unknown as Params;
  const norm = operations.columnNorms(x, sequences * tokens, weight.inFeatures);
  const context: WeightContext = {
    layer: 0,
    projection,
    weight,
    original: weight,
    statistics: { tokens: sequences * tokens, sequences, norm },
    dtype: "f32",
    operations,
  };
  const chosen = options.parse({ sparsity, variant: variant ?? false, pattern: patternOf(pattern) });
  const kept = Uint8Array.from((wanda(chosen).sparsify(context) as DenseWeight).data, (w) => Number(w !== 0));
  return { weight: withoutWeights(weight, kept), kept, scaler: norm.map((value) => value ** 2 / sequences) };
}

interface Params {
  readonly sequences: number;
  readonly tokens: number;
  readonly sparsity: number;
  /** `2:4` names what is pruned. */
  readonly pattern: string;
  readonly variant?: boolean;
}

function patternOf(pattern: string): "unstructured" | { keep: number; of: number } {
  if (pattern === "unstructured") return pattern;
  const [pruned, of] = pattern.split(":").map(Number);
  return { keep: of - pruned, of };
}

function weightOf(fixture: Fixture, name: string): DenseWeight {
  const [outFeatures, inFeatures] = fixture.tensors.get(name)!.shape;
  return { format: "dense", dtype: "f32", outFeatures, inFeatures, data: dataOf(fixture, name) };
}

function dataOf({ tensors }: Fixture, name: string): Float32Array {
  return tensors.get(name)!.data as Float32Array;
}
