import {
  defineOptions,
  type OptionsOf,
  option,
  projections,
  type TuneContext,
  type Tuner,
  WinnowError,
} from "@winnow/core";
import { z } from "zod";
import type { GreedyStep } from "./greedy.js";
import { options as pluginOptions } from "./options.js";
import { searchLayer } from "./search-layer.js";
import { formatTable, stepAt } from "./table.js";

const reference = "reference code FasterDecoding/TEAL@5baaec8";

const tunerOptions = defineOptions({
  sparsity: pluginOptions.shape.sparsity,
  quantile: pluginOptions.shape.quantile,
  step: option(z.number().gt(0).max(1).default(0.05), {
    description:
      "Share that one step adds to q_proj, and as many parameters to any other; smaller is finer and slower.",
    unit: "fraction",
    symbol: "base_step_size",
    source: `paper and ${reference}: 0.05`,
  }),
  targetSparsity: option(z.number().gt(0).max(1).default(0.9), {
    description: "Where the search of a layer ends; the table serves every sparsity up to it. Higher is slower.",
    unit: "fraction",
    source: `${reference}: 0.9`,
  }),
  sparseFraction: option(z.number().gt(0).max(1).default(0.5), {
    description: "Share of each prompt's tokens, the last ones, that skip channels while errors are measured.",
    unit: "fraction",
    source: `${reference}: half`,
  }),
  lastFraction: option(z.number().gt(0).max(1).default(0.25), {
    description: "Share of each prompt's tokens, the last ones, whose error counts.",
    unit: "fraction",
    source: `${reference}: 0.25`,
  }),
  parameters: option(z.array(z.number().gt(0)).length(7).optional(), {
    description:
      "Weights of q, k, v, o, gate, up and down in the mean sparsity, for parity with the reference's tables; absent: the matrices' true sizes.",
    source: `${reference} counts k and v of some models as 1/8`,
  }),
});

export type TunerOptions = OptionsOf<typeof tunerOptions>;

/**
 * Greedy allocation of sparsity to the matrices of each layer (paper Algorithm 1). A step tries each matrix, so a layer costs about
 * 8 * targetSparsity * (sum of parameters / parameters of q_proj) / step runs of itself on every prompt. Writes one CSV file for all layers and levels.
 */
export const tuner: Tuner = {
  options: tunerOptions,
  async run(context, given) {
    const options = tunerOptions.parse(given);
    requireSetting(context, options);
    const table: GreedyStep[][] = [];
    const { layers } = context.model;
    for (let layer = 0; layer < layers; layer++) {
      const onSparsity = (sparsity: number) =>
        context.progress(
          (layer + Math.min(sparsity / options.targetSparsity, 1)) / layers,
          `layer ${layer + 1} of ${layers}`,
        );
      table.push(await searchLayer(context, options, layer, onSparsity));
    }
    const name = "teal.csv";
    return {
      options: { sparsity: options.sparsity, quantile: options.quantile, table: name },
      files: [{ name, text: formatTable(table) }],
      report: table.map((steps, layer) => reportRow(layer, stepAt(steps, options.sparsity))),
    };
  },
};

function requireSetting({ prompts }: TuneContext, { sparsity, targetSparsity, sparseFraction }: TunerOptions): void {
  if (sparsity > targetSparsity)
    throw conflict(`sparsity must be at most targetSparsity (${targetSparsity}), got ${sparsity}`);
  const shortest = Math.min(...prompts.map((prompt) => prompt.length));
  if (prompts.length === 0 || Math.floor(shortest * sparseFraction) === 0)
    throw conflict(
      `every prompt must have at least ${Math.ceil(1 / sparseFraction)} tokens, so that some are sparse, got ` +
        `${prompts.length === 0 ? "no prompt" : shortest}`,
    );
}

function reportRow(layer: number, step: GreedyStep | undefined): Record<string, string | number> {
  const shares = projections.map((name, p) => [name, rounded(step?.shares[p] ?? 0)]);
  const ratio = step && step.uniformError > 0 ? rounded(step.error / step.uniformError) : "";
  return { layer, sparsity: rounded(step?.sparsity ?? 0), ...Object.fromEntries(shares), errorToUniform: ratio };
}

function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}

function conflict(problem: string): WinnowError {
  return new WinnowError("ERR_PLAN_CONFLICT", `Cannot tune teal: ${problem}.`);
}
