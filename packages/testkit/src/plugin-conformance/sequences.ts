import type { Maker } from "./make.js";
import { makePrompt, type Prompt, type PromptSettings } from "./prompts.js";
import { SequenceRun, type SequenceSettings } from "./sequence-run.js";
import { smallModel } from "./subject.js";

/** Length of the prompt and of the whole sequence, and what its numbers are like. */
export interface SequenceShape extends Omit<PromptSettings, "n" | "name"> {
  readonly promptTokens: number;
  readonly tokens: number;
}

export const usualSequence: SequenceShape = { promptTokens: 120, tokens: 150 };

/** Numbers for each layer. */
export function layersOf({ promptTokens, tokens, seed = 1, ...settings }: SequenceShape): Prompt[] {
  const name = `a prompt of ${promptTokens} tokens`;
  return Array.from({ length: smallModel.layers }, (_, layer) =>
    makePrompt({ ...settings, name, n: tokens, seed: 100 * seed + layer }),
  );
}

type Extra = Omit<SequenceSettings, "promptTokens">;

export function runOf(maker: Maker, shape: SequenceShape, extra: Extra = {}, layers = layersOf(shape)): SequenceRun {
  const pruner = maker.pruner(layers[0].model);
  return new SequenceRun(pruner, layers, { promptTokens: shape.promptTokens, ...extra });
}
