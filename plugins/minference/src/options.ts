import { defineOptions, type ModelShape, type OptionProblem, type OptionsOf, option, WinnowError } from "@winnow/core";
import { z } from "zod";
import { headConfigSchema, readHeadConfig } from "./head-config.js";

const reference = "reference code microsoft/MInference@fb56c91";

export const options = defineOptions({
  verticalSize: option(z.int().min(0).default(1000), {
    description: "Key columns of a head without an entry in headConfig; raising it is slower and nearer to dense.",
    unit: "tokens",
    symbol: "v",
    source: `${reference}: 1000 for heads that its file lacks; paper Table 7: 30 to 3000`,
  }),
  slashSize: option(z.int().min(1).default(6096), {
    description:
      "Diagonals of a head without an entry in headConfig; raising it is slower and nearer to dense. Each may cost a band of 64 keys.",
    unit: "tokens",
    symbol: "s",
    source: `${reference}: 6096 for heads that its file lacks; paper Table 7: 200 to 2048`,
  }),
  headConfig: option(z.union([z.string().min(1), headConfigSchema]).optional(), {
    description:
      "Pattern and sizes of each head: a JSON file of the reference's format, or its content. Without it, every head takes verticalSize and slashSize.",
    source: "section 3.2, Algorithm 1; written by winnow tune",
    format: "path",
  }),
  ratio: option(z.number().gt(0).max(1000).default(1), {
    description: "Factor on both sizes of every head, rounded down; raising it is slower and nearer to dense.",
    unit: "fraction",
    symbol: "minference_ratio",
    source: `${reference}: 1`,
  }),
  startingLayer: option(z.int().min(0).default(0), {
    description:
      "First layer, counted from 0, with sparse heads; the layers before it are dense. Raising it is slower and nearer to dense.",
    unit: "layers",
    symbol: "starting_layer",
    source: `${reference}: -1 (no dense layer), examples 0`,
  }),
  lastQueries: option(z.int().min(1).max(1024).default(64), {
    description: "Last queries whose attention is computed to choose columns and diagonals; raising it costs time.",
    unit: "tokens",
    symbol: "last_q",
    source: "paper section 3.3 and reference code: 64",
  }),
  sinkTokens: option(z.int().min(0).default(30), {
    description: "First columns that are always chosen; they count towards the columns of a head.",
    unit: "tokens",
    source: `${reference}: 30; not in the paper`,
  }),
  recentTokens: option(z.int().min(1).default(100), {
    description: "First diagonals (the local band) that are always chosen; they count towards the diagonals of a head.",
    unit: "tokens",
    source: `${reference}: 100; not in the paper`,
  }),
  keepBlocks: option(z.int().min(1).default(100), {
    description: "Key blocks per query block of block-sparse heads; raising it is slower and nearer to dense.",
    unit: "blocks",
    symbol: "k_b",
    source: "paper Table 7 and reference code: 100",
  }),
  strictReference: option(z.boolean().default(false), {
    description:
      "True: follow the reference where it may lose the diagonal (as few as 50 diagonals, block-sparse rows without their own block).",
    source: reference,
  }),
});

export type MInferenceOptions = OptionsOf<typeof options>;

export function checkOptions(
  { startingLayer, headConfig }: MInferenceOptions,
  model: ModelShape,
): readonly OptionProblem[] {
  const problems: OptionProblem[] = [];
  if (startingLayer > model.layers) {
    problems.push({
      path: ["startingLayer"],
      message: `startingLayer must be in 0..model.layers (${model.layers}), got ${startingLayer}. Lower it.`,
    });
  }
  try {
    readHeadConfig(headConfig, model);
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    problems.push({ path: ["headConfig"], message: error.message });
  }
  return problems;
}
