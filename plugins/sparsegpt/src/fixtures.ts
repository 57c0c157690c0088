import type { DenseWeight, Fixture, FixtureRunner, Operations } from "@winnow/core";
import { invertHessian, scaledHessian } from "./hessian.js";
import { options } from "./options.js";
import { sparseGpt } from "./sparsegpt.js";

export const fixtures: FixtureRunner = { kinds: ["sparsegpt"], run };

function run({ params, tensors }: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const { out, in: inFeatures, sequences, tokens, sparsity, blocksize, percdamp } = params as Record<string, number>;
  const data = (name: string) => tensors.get(name)!.data as Float32Array;
  const hessian = new Float32Array(inFeatures ** 2);
  operations.accumulateGram(data("in.x"), sequences * tokens, inFeatures, hessian);
  const chosen = options.parse({
    sparsity,
    pattern: patternOf(params.pattern as string),
    blockSize: blocksize,
    damping: percdamp,
    ...(params.bits !== undefined && { bits: params.bits }),
  });
  const statistics = { tokens: sequences * tokens, sequences, hessian };
  const weight = {
    format: "dense",
    dtype: "f32",
    outFeatures: out,
    inFeatures,
    data: data("in.w"),
  } as const;
  const context = {
    layer: 0,
    projection: "q_proj",
    weight,
    original: weight,
    statistics,
    dtype: "f32",
    operations,
  } as const;
  const pruned = (sparseGpt(chosen).sparsify(context) as DenseWeight).data as Float32Array;
  const h = scaledHessian(context);
  return {
    "mid.h": h.slice(),
    "mid.u": invertHessian(h, chosen, context).factor,
    "out.w": pruned,
    ...(tensors.has("out.keep") && { "out.keep": Uint8Array.from(pruned, (value) => (value === 0 ? 0 : 1)) }),
  };
}

/** The references name how many of M are pruned. */
function patternOf(pattern: string): unknown {
  if (pattern === "unstructured") return pattern;
  const [pruned, of] = pattern.split(":").map(Number);
  return { keep: of - pruned, of };
}
