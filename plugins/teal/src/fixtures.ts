import type { DenseWeight, Fixture, FixtureRunner, Operations } from "@winnow/core";
import { greedyFixture } from "./greedy-fixture.js";
import { histogram } from "./quantile.js";
import { teal } from "./teal.js";

export const fixtures: FixtureRunner = {
  kinds: ["threshold", "greedy"],
  run: (fixture, operations) =>
    fixture.kind === "greedy" ? greedyFixture(fixture, operations) : thresholdFixture(fixture, operations),
};

const shape = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 1, contextLength: 1 };

/** The weight is the identity, so that the product is the masked input. */
function thresholdFixture({ params, tensors }: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const { d, run: tokens, use } = params as Record<string, number>;
  const inputs = tensors.get("in.acts")!.data as Float32Array;
  const x = tensors.get("in.x")!.data as Float32Array;
  const shares = params.sparsities as number[];
  const weights = shares.map((sparsity) =>
    teal({ sparsity, quantile: "signed" }, shape).sparsify({
      layer: 0,
      projection: "q_proj",
      weight: identity(d),
      original: identity(d),
      statistics: { tokens: inputs.length / d, sequences: 1, inputs },
      dtype: "f32",
      operations,
    }),
  );
  const masked = (share: number, sparseRows: number) => {
    const out = new Float32Array(x.length);
    operations.linear(x, tokens, weights[share], out, false, sparseRows);
    return out;
  };
  return {
    "mid.centers": histogram(inputs).centers,
    "out.thresholds": weights.map((weight) =>
      weight.format === "channels" && weight.selection.rule === "threshold"
        ? weight.selection.thresholds[0]
        : Number.NaN,
    ),
    "out.keep": shares.flatMap((_, share) => Array.from(masked(share, tokens), (value) => (value === 0 ? 0 : 1))),
    "out.half_prefill": masked(use, Math.floor(tokens / 2)),
  };
}

function identity(d: number): DenseWeight {
  const data = Float32Array.from({ length: d * d }, (_, e) => (e % (d + 1) === 0 ? 1 : 0));
  return { format: "dense", dtype: "f32", outFeatures: d, inFeatures: d, data };
}
