import {
  type DenseWeight,
  type Fixture,
  type FixtureRunner,
  type Operations,
  projections,
  type WeightContext,
  type WeightSparsifier,
} from "@winnow/core";
import { magnitude } from "./magnitude.js";
import { options } from "./options.js";

export const fixtures: FixtureRunner = {
  kinds: ["global", "layer", "layer-threshold", "row", "nm"],
  run({ kind, params, tensors }: Fixture, operations: Operations) {
    const { sparsity } = params as { readonly sparsity: number };
    const chosen = kind === "nm" ? { pattern: keptOfM(params.pattern as string) } : { scope: kind };
    const shapes = params.shapes as readonly (readonly [number, number])[];
    const weights = shapes.map(([outFeatures, inFeatures], m) => {
      const data = tensors.get(`in.w${m}`)!.data as Float32Array;
      return { format: "dense", dtype: "f32", outFeatures, inFeatures, data } as const;
    });
    const pruned = pruneModel(magnitude(options.parse({ sparsity, ...chosen })), weights, operations);
    return Object.fromEntries(
      pruned.map(({ data }, m) => [`out.keep${m}`, Uint8Array.from(data, (w) => Number(w !== 0))]),
    );
  },
};

/** `2:4` names what is pruned. */
function keptOfM(pattern: string): { keep: number; of: number } {
  const [pruned, of] = pattern.split(":").map(Number);
  return { keep: of - pruned, of };
}

/** All matrices of a model, seven to a layer, as the runtime does it: survey, then one matrix after the other. */
export function pruneModel(
  sparsifier: WeightSparsifier,
  weights: readonly DenseWeight[],
  operations: Operations,
  report?: WeightContext["report"],
): DenseWeight[] {
  const contexts = weights.map((weight, m): WeightContext => {
    const place = { layer: Math.floor(m / projections.length), projection: projections[m % projections.length] };
    return {
      ...place,
      weight,
      original: weight,
      statistics: { tokens: 0, sequences: 0 },
      dtype: weight.dtype,
      operations,
      ...(report && { report }),
    };
  });
  const survey = surveyed(sparsifier, contexts);
  return contexts.map((context) => sparsifier.sparsify({ ...context, survey }) as DenseWeight);
}

function surveyed({ survey }: WeightSparsifier, contexts: readonly WeightContext[]): unknown {
  let result: unknown;
  for (let pass = 0; pass < (survey ? (survey.passes ?? 1) : 0); pass++) {
    const values = contexts.map((context) => ({ ...context, value: survey!.measure({ ...context, survey: result }) }));
    result = survey!.combine(values, result);
  }
  return result;
}
