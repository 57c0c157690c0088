import { defineOptions, type OptionProblem, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

/** Share of the neurons that stay where neither `keep` nor `keepRatio` is given. */
export const DEFAULT_KEEP_RATIO = 0.5;

export const options = defineOptions({
  mode: option(z.enum(["topk", "nonzero"]).default("topk"), {
    description:
      "topk: the neurons of largest magnitude count, which changes the output. nonzero: all that are not zero, which is exact and saves something only with ReLU.",
    source: "paper: both",
  }),
  rankBy: option(z.enum(["gate", "hidden"]).default("gate"), {
    description:
      "What a neuron is judged by. gate: its activated gate, so that rows of up_proj and columns of down_proj are skipped. hidden: activated gate times up, the true " +
      "input of down_proj, of which alone columns are skipped: better chosen, less saved.",
  }),
  keep: option(z.union([z.int().min(0), z.literal("auto")]).optional(), {
    description:
      "Neurons that count for each token; more is slower and nearer to dense. auto: for each layer the smallest number that keeps keepMass on the calibration text.",
    unit: "neurons",
    symbol: "k",
    source: "paper: small, such as 128, with models trained for it",
  }),
  keepRatio: option(z.number().min(0).max(1).optional(), {
    description: `Share of the neurons that count, instead of keep: floor(f * keepRatio); ${DEFAULT_KEEP_RATIO} where keep is not given either.`,
    unit: "fraction",
    symbol: "k / f",
  }),
  keepMass: option(z.number().gt(0).max(1).default(0.95), {
    description:
      "With keep: auto, the share of the sum of |hidden| * norm of the neuron's column of down_proj that counting neurons must hold; more keeps more neurons.",
    unit: "fraction",
  }),
  epsilon: option(z.number().min(0).default(0), {
    description: "With mode: nonzero, magnitudes up to this count as zero; above 0 the result is no longer exact.",
    symbol: "eps",
  }),
});

export type LazyNeuronOptions = OptionsOf<typeof options>;

export function checkOptions({ mode, keep, keepRatio }: LazyNeuronOptions): OptionProblem[] {
  if (keep !== undefined && keepRatio !== undefined)
    return [
      {
        path: ["keepRatio"],
        message: `keepRatio (${keepRatio}) cannot be combined with keep (${keep}). Give one of them.`,
      },
    ];
  const given = keep === undefined ? "keepRatio" : "keep";
  if (mode === "nonzero" && (keep ?? keepRatio) !== undefined)
    return [
      { path: [given], message: `${given} cannot be combined with mode: nonzero, which keeps what is not zero.` },
    ];
  return [];
}

/** How many of `neurons` the options name; undefined: it depends on the calibration text. */
export function fixedKeep({ keep, keepRatio }: LazyNeuronOptions, neurons: number): number | undefined {
  if (keep === "auto") return undefined;
  return Math.min(neurons, keep ?? Math.floor(neurons * (keepRatio ?? DEFAULT_KEEP_RATIO)));
}
