import { measurePerplexity } from "@winnow/evaluate";
import type { Engine, StepSettings } from "@winnow/runtime";
import { describePerplexity } from "../commands/eval.js";
import { startProgress } from "../io.js";
import type { StepOutput } from "./stream-answer.js";

/** Perplexity of a text with the configured plugins and weights; prints a table. */
export async function runPerplexity(
  engine: Engine,
  settings: StepSettings<"perplexity">,
  output: StepOutput,
): Promise<void> {
  const progress = startProgress("perplexity");
  try {
    const result = await measurePerplexity(engine, settings, { signal: output.signal, onProgress: progress.update });
    progress.stop();
    output.write(`${describePerplexity(result)}\n`);
  } finally {
    progress.stop();
  }
}
