import { defineOptions, type ModelShape, type OptionProblem, type OptionsOf, option } from "@winnow/core";
import { z } from "zod";

const reference = "reference code microsoft/MInference@fb56c91";

export const options = defineOptions({
  sinkTokens: option(z.int().min(0).default(128), {
    description: "First tokens that every query attends to; raising it is slower and nearer to dense.",
    unit: "tokens",
    symbol: "n_init",
    source: `${reference}: 128 (tri_shape), 8 (tri_mix)`,
  }),
  recentTokens: option(z.int().min(1).default(3968), {
    description: "Last tokens that each query attends to, itself included; raising it is slower and nearer to dense.",
    unit: "tokens",
    symbol: "n_local",
    source: `${reference}: 3968 (tri_shape), 512 (tri_mix)`,
  }),
  denseLastTokens: option(z.int().min(0).default(100), {
    description:
      "Last queries of the prompt that attend to everything; make it cover the question, each one costs a full row. 0 is A-shape.",
    unit: "tokens",
    symbol: "n_last",
    source: `${reference}: 100 (tri_shape), 128 (tri_mix)`,
  }),
  startingLayer: option(z.int().min(0).default(0), {
    description:
      "First layer, counted from 0, with the sparse shape; the layers before it are dense (TriangleMix). Raising it is slower and nearer to dense.",
    unit: "layers",
    symbol: "starting_layer",
    source: "0 is tri-shape in every layer; TriangleMix uses 16 of 32 for Llama-3.1-8B (README of its code)",
  }),
});

export type TriShapeOptions = OptionsOf<typeof options>;

export function checkOptions({ startingLayer }: TriShapeOptions, { layers }: ModelShape): OptionProblem[] {
  if (startingLayer <= layers) return [];
  return [
    {
      path: ["startingLayer"],
      message: `startingLayer must be in 0..model.layers (${layers}), got ${startingLayer}. Lower it.`,
    },
  ];
}
