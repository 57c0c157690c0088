import type { Engine, GenerationOptions, Prompt, Receipt } from "@winnow/runtime";
import { startProgress } from "../io.js";

export interface StepOutput {
  readonly signal: AbortSignal;
  /** Receives the answer piece by piece. */
  write(text: string): void;
}

/** Runs one prompt with a progress bar until the first token, then hands the text on as it comes. */
export async function streamAnswer(
  engine: Engine,
  prompt: Prompt,
  options: GenerationOptions,
  output: StepOutput,
): Promise<Receipt> {
  const progress = startProgress(options.dense ? "dense prompt" : "prompt");
  const generation = engine.generate(prompt, { ...options, signal: output.signal, onProgress: progress.update });
  try {
    for await (const token of generation) {
      progress.stop();
      output.write(token.text);
    }
  } finally {
    progress.stop();
  }
  output.write("\n");
  return generation.receipt!;
}
