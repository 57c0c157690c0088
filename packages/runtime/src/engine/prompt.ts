import { readFile } from "node:fs/promises";
import { WinnowError } from "@winnow/core";

/** Text, token ids, or a UTF-8 text file. */
export type Prompt = string | { readonly ids: ArrayLike<number> } | { readonly file: string };

/** Text of a prompt, or undefined for token ids. */
export async function promptText(prompt: Prompt): Promise<string | undefined> {
  if (typeof prompt === "string") return prompt;
  if ("ids" in prompt) return undefined;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(prompt.file);
  } catch (error) {
    throw new WinnowError(
      "ERR_PROMPT",
      `Cannot read the prompt file "${prompt.file}": ${(error as Error).message}. Give a UTF-8 text file.`,
      { cause: error },
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new WinnowError("ERR_PROMPT", `The prompt file "${prompt.file}" is not UTF-8 text. Convert it first.`, {
      cause: error,
    });
  }
}

/** Throws `ERR_PROMPT` for ids that the model cannot take: none, too many, or outside the vocabulary. */
export function checkPromptIds(ids: Int32Array, limits: { contextLength: number; vocabSize: number }): void {
  if (ids.length === 0) throw new WinnowError("ERR_PROMPT", "The prompt is empty. Give at least one token.");
  if (ids.length > limits.contextLength) {
    throw new WinnowError(
      "ERR_PROMPT",
      `The prompt has ${ids.length} tokens, the model's context holds ${limits.contextLength}. Shorten the prompt or use a model with a longer context.`,
    );
  }
  const wrong = ids.findIndex((id) => id < 0 || id >= limits.vocabSize);
  if (wrong >= 0)
    throw new WinnowError(
      "ERR_PROMPT",
      `Prompt token ${wrong} must be an id in 0..${limits.vocabSize - 1}, got ${ids[wrong]}.`,
    );
}

/** Ids given by a caller, checked to be whole numbers. */
export function idsOf(prompt: { readonly ids: ArrayLike<number> }): Int32Array {
  return Int32Array.from(prompt.ids, (id, index) => {
    if (!Number.isInteger(id))
      throw new WinnowError("ERR_PROMPT", `Prompt token ${index} must be a whole number, got ${JSON.stringify(id)}.`);
    return id;
  });
}
