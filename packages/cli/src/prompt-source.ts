import { buildNeedlePrompt, defaultHaystack, type NeedlePrompt, readSentences } from "@winnow/evaluate";
import type { Engine, Prompt, PromptSource } from "@winnow/runtime";

export interface ResolvedPrompt {
  readonly prompt: Prompt;
  /** For made prompts: what a right answer contains. */
  readonly needle?: NeedlePrompt;
}

/** Text, file or made prompt of a step. A needle prompt leaves `maxNewTokens` of its length for the answer. */
export async function resolvePrompt(
  engine: Engine,
  source: PromptSource,
  maxNewTokens: number,
  signal: AbortSignal,
): Promise<ResolvedPrompt> {
  if (source.text !== undefined) return { prompt: source.text };
  if (source.file !== undefined) return { prompt: { file: source.file } };
  const { length, depth, seed, haystack } = source.needle!;
  const sentences = await readSentences(haystack ?? defaultHaystack);
  const needle = await buildNeedlePrompt((text) => engine.encode(text, { signal }), {
    length,
    depth,
    seed,
    sentences,
    answerTokens: maxNewTokens,
  });
  return { prompt: { ids: needle.ids }, needle };
}
