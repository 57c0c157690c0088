import { readFile } from "node:fs/promises";
import { WinnowError } from "@winnow/core";

/** Text, token ids, or a UTF-8 text file. */
export type Prompt = string | { readonly ids: ArrayLike<number> } | { readonly file: string };

/** Text of a prompt, or undefined for token ids. */
export async function promptText(prompt: Prompt): Promise<string | undefined> {
  if (typeof prompt === "string") return prompt;
  if (typeof prompt !== "object" || prompt === null || ("ids" in prompt ? prompt.ids : prompt.file) == null)
    throw new WinnowError("ERR_PROMPT", `A prompt must be text, { ids } or { file }, got ${JSON.stringify(prompt)}.`);
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

/** Throws `ERR_PROMPT` for what is not text, for callers without types. */
export function checkPromptText(text: string): void {
  if (typeof text !== "string")
    throw new WinnowError("ERR_PROMPT", `Only text can be turned into tokens, got ${JSON.stringify(text)}.`);
}

export interface PromptLimits {
  readonly contextLength: number;
  readonly vocabSize: number;
}

/** Throws `ERR_PROMPT` for ids that the model cannot take: none, too many, or outside the vocabulary. */
export function checkPromptIds(ids: ArrayLike<number>, { contextLength, vocabSize }: PromptLimits): void {
  if (ids.length === 0) throw new WinnowError("ERR_PROMPT", "The prompt is empty. Give at least one token.");
  if (ids.length > contextLength) {
    throw new WinnowError(
      "ERR_PROMPT",
      `The prompt has ${ids.length} tokens, the model's context holds ${contextLength}. Shorten the prompt or use a model with a longer context.`,
    );
  }
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index];
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    throw new WinnowError(
      "ERR_PROMPT",
      `Prompt token ${index} must be a whole number in 0..${vocabSize - 1}, got ${typeof id === "number" ? id : JSON.stringify(id)}.`,
    );
  }
}

/** Ids given by a caller, checked before they become 32-bit numbers, where a wrong one could turn into a right one. */
export function idsOf({ ids }: { readonly ids: ArrayLike<number> }, limits: PromptLimits): Int32Array {
  if (typeof ids !== "object" || !Number.isInteger(ids.length))
    throw new WinnowError("ERR_PROMPT", `The ids of a prompt must be an array of numbers, got ${JSON.stringify(ids)}.`);
  checkPromptIds(ids, limits);
  return Int32Array.from(ids);
}
