import { defineOptions, type OptionProblem, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

const reference = "reference code FasterDecoding/SnapKV@e216ddc";

/** Tokens kept where neither `capacity` nor `keepRatio` is given. */
export const DEFAULT_CAPACITY = 2048;

export const options = defineOptions({
  capacity: option(z.int().min(2).optional(), {
    description:
      `Tokens of the prompt that stay per KV head, the observation window included; ${DEFAULT_CAPACITY} where keepRatio is not given ` +
      "either. More needs more memory and loses less.",
    unit: "tokens",
    symbol: "C",
    source: `paper: 1024, 2048, 4096; ${reference}: 2048 (model default), 320 (class)`,
  }),
  keepRatio: option(z.number().gt(0).max(1).optional(), {
    description:
      "Share of the prompt that stays, instead of capacity: floor(n * keepRatio) tokens, the observation window included.",
    unit: "fraction",
    symbol: "1 - rho",
    source: "NVIDIA/kvpress@8bb29b9, where the ratio is the share removed",
  }),
  observationWindow: option(z.int().min(1).default(32), {
    description:
      "Last queries of the prompt that vote on the tokens before them, and always stay; more hears more of the prompt's end and " +
      "leaves fewer places to vote on.",
    unit: "tokens",
    symbol: "w",
    source: `paper: 16 to 64; ${reference}: 32 (model default), 64 (class); kvpress: 64`,
  }),
  poolKernel: option(
    z
      .int()
      .min(1)
      .refine((width) => width % 2 === 1, "poolKernel must be odd")
      .default(5),
    {
      description:
        "Width of the smoothing of votes along the text; wider keeps more neighbours of voted tokens. Odd; 1: none.",
      unit: "tokens",
      symbol: "kappa",
      source: `paper: 5 or 7; ${reference}: 5, 7 for LongBench`,
    },
  ),
  pooling: option(z.enum(["avg", "max"]).default("avg"), {
    description: "Smoothing by mean (zeros beyond both ends count) or by maximum (whole clusters of neighbours tie).",
    source: `paper: max; ${reference}: avg, max for LongBench; kvpress: avg`,
  }),
});

export type SnapKvOptions = OptionsOf<typeof options>;

export function checkOptions({ capacity, keepRatio, observationWindow }: SnapKvOptions): OptionProblem[] {
  if (capacity !== undefined && keepRatio !== undefined)
    return [
      {
        path: ["keepRatio"],
        message: `keepRatio (${keepRatio}) cannot be combined with capacity (${capacity}). Give one of them.`,
      },
    ];
  const tokens = capacity ?? DEFAULT_CAPACITY;
  if (keepRatio === undefined && tokens <= observationWindow)
    return [
      {
        path: [capacity === undefined ? "observationWindow" : "capacity"],
        message: `capacity must be above observationWindow (${observationWindow}), got ${tokens}. Raise capacity or lower observationWindow.`,
      },
    ];
  return [];
}
