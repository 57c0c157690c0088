import type { Engine, Receipt, StepSettings } from "@winnow/runtime";
import { resolvePrompt } from "../prompt-source.js";
import { type StepOutput, streamAnswer } from "./stream-answer.js";

/** One prompt with the configured plugins; the answer is printed as it comes. */
export async function runGenerate(
  engine: Engine,
  settings: StepSettings<"generate">,
  output: StepOutput,
): Promise<Receipt[]> {
  const { prompt: source, ...generation } = settings;
  const { prompt } = await resolvePrompt(engine, source, generation.maxNewTokens, output.signal);
  return [await streamAnswer(engine, prompt, { ...generation, dense: false }, output)];
}
