import { channelsWeight, type DenseWeight, type Fixture, type FixtureRunner, type Operations } from "@winnow/core";
import { type Budget, budgetOf, type Setting } from "./budget.js";
import { factorsOf } from "./factors.js";
import { scoresOf, thresholdOf } from "./scores.js";

export const fixtures: FixtureRunner = { kinds: ["r-sparse"], run };

function run(fixture: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const linears = Object.entries(fixture.params.linears as Record<string, [out: number, inputs: number]>);
  return Object.assign(
    {},
    ...linears.map(([name, [outFeatures, inFeatures]], index) => {
      const suffix = linears.length === 1 ? "" : `.${name.split(".").at(-1)}`;
      // The reference counts every attention matrix as having `hidden` outputs, also where k and v have fewer.
      const counted = name.startsWith("self_attn.") ? (fixture.params.hidden as number) : outFeatures;
      const { setting, least } = settingOf(fixture, index);
      const budget = budgetOf(counted, inFeatures, setting, least);
      const outputs = linear(fixture, suffix, outFeatures, inFeatures, budget, setting.ratio, least, operations);
      return Object.fromEntries(Object.entries(outputs).map(([tensor, values]) => [`${tensor}${suffix}`, values]));
    }),
  );
}

function settingOf({ params }: Fixture, index: number): { setting: Setting; least: 0 | 1 } {
  const table = params.table as [ratio: number, sparsity: number][] | undefined;
  if (table) return { setting: { ratio: table[index][0], sparsity: table[index][1] }, least: 1 };
  return { setting: params as unknown as Setting, least: 0 };
}

/** Scale, singular values and budget are computed; mask and product then use the fixture's half-precision artefacts, as recorded. */
function linear(
  { params, tensors }: Fixture,
  suffix: string,
  outFeatures: number,
  inFeatures: number,
  { mode, rank, channelSparsity }: Budget,
  ratio: number,
  least: number,
  operations: Operations,
): Record<string, ArrayLike<number>> {
  const data = (name: string) => tensors.get(name + suffix)!.data as Float32Array;
  const [w, x] = [data("in.w"), data("in.x")];
  const both = mode === "both";
  const scale = both ? data("mid.scale") : undefined;
  const threshold = thresholdOf(scoresOf(data("in.x_calib"), scale), channelSparsity);
  const given = both ? { u: data("mid.u"), s: data("mid.s"), v: data("mid.v") } : undefined;
  const weight = channelsWeight(
    { format: "dense", dtype: "f32", outFeatures, inFeatures, data: w } satisfies DenseWeight,
    "f32",
    { rule: "threshold", thresholds: Float32Array.of(threshold), ...(scale && { scale }) },
    given && factorsOf(given, rank, "f32"),
  );
  const tokens = x.length / inFeatures;
  const prefillRatio = (params.prefill_ratio as number | undefined) ?? 1;
  const denseTokens = prefillRatio < 1 ? Math.floor(tokens * (1 - prefillRatio)) : 0;
  const y = new Float32Array(tokens * outFeatures);
  operations.linear(x, tokens, weight, y, false, tokens - denseTokens);
  return {
    // With a table the reference counts a rank of 1 where it uses none.
    "mid.budget": [ratio, channelSparsity, Math.max(least, rank), threshold],
    "out.keep": scoresOf(x, scale).map((score, e) => (e < denseTokens * inFeatures || score > threshold ? 1 : 0)),
    "out.y": y,
    ...(both && {
      "mid.scale": operations.columnNorms(w, outFeatures, inFeatures),
      "mid.s": operations.truncatedSvd(w, outFeatures, inFeatures, rank).s,
    }),
  };
}
