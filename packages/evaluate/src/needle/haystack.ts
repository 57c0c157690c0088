import { readFile } from "node:fs/promises";
import { WinnowError } from "@winnow/core";

/** The book that ships with the project: public domain, unseen by the shipped model. */
export const defaultHaystack = new URL("../../haystack/around-the-world-in-80-days.txt", import.meta.url);

/** Sentences of a text file, white space normalised. Throws `ERR_PROMPT` if there are none. */
export async function readSentences(file: string | URL): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new WinnowError(
      "ERR_PROMPT",
      `Cannot read the haystack "${file}": ${(error as Error).message}. Give a text file.`,
      { cause: error },
    );
  }
  const sentences = splitSentences(text);
  if (sentences.length === 0)
    throw new WinnowError("ERR_PROMPT", `The haystack "${file}" holds no text. Give a text file with prose.`);
  return sentences;
}

/** Splits after . ! or ? (and closing quotes) before white space. */
export function splitSentences(text: string): string[] {
  return text
    .replace(/\s+/g, " ")
    .trim()
    .split(/(?<=[.!?]["'\u201d\u2019)]*) /)
    .filter((sentence) => sentence.length > 0);
}
