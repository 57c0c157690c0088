import type { Engine } from "@winnow/runtime";
import { defaultHaystack, readSentences } from "../needle/haystack.js";
import { buildNeedlePrompt, type NeedlePrompt } from "../needle/needle-prompt.js";
import type { BenchHooks } from "./measure.js";

export interface BenchPrompt extends NeedlePrompt {
  /** Where the needle stands: 0 start, 1 end. */
  readonly depth: number;
  readonly seed: number;
}

/** Tokens of an answer: enough for a number of seven digits, whatever the tokenizer. */
export const ANSWER_TOKENS = 16;

export interface NeedlePromptsOptions extends Pick<BenchHooks, "signal"> {
  readonly count: number;
  /** Tokens of the prompt and of what follows it. */
  readonly length: number;
  /** Room for what follows the prompt. Default: an answer's. */
  readonly answerTokens?: number;
}

/** `count` needle prompts with depths spread evenly over [0, 1] and seeds 1, 2, .... Same tokenizer, same prompts. */
export async function needlePrompts(
  engine: Engine,
  { count, length, answerTokens = ANSWER_TOKENS, signal }: NeedlePromptsOptions,
): Promise<BenchPrompt[]> {
  const sentences = await readSentences(defaultHaystack);
  const prompts: BenchPrompt[] = [];
  for (let index = 0; index < count; index++) {
    const depth = depthOf(index, count);
    const seed = index + 1;
    const encode = (text: string) => engine.encode(text, { signal });
    const options = { length, answerTokens, depth, seed, sentences };
    prompts.push({ ...(await buildNeedlePrompt(encode, options)), depth, seed });
  }
  return prompts;
}

export function depthOf(index: number, count: number): number {
  return count === 1 ? 0.5 : index / (count - 1);
}
