import { createInterface } from "node:readline/promises";
import { WinnowError } from "@winnow/core";
import { kindNames, templateKind } from "./kinds.js";
import { parsePluginName } from "./plugin-name.js";

export interface Answers {
  readonly name?: string;
  readonly kind?: string;
  readonly author?: string;
}

/** Where questions go and answers come from. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

/** Asks for what was not given, again after a bad answer. Throws `ERR_USAGE` naming what is missing where nobody can answer. */
export async function askMissing(
  given: Answers,
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): Promise<Answers & { readonly name: string; readonly kind: string }> {
  const { name, kind } = given;
  if (name !== undefined && kind !== undefined) return { ...given, name, kind };
  if (!terminal.input.isTTY) {
    const missing = name === undefined ? "name" : "kind";
    const kinds = missing === "kind" ? `: ${kindNames.join(", ")}` : "";
    throw new WinnowError("ERR_USAGE", `Cannot make a plugin without a ${missing}. Give one${kinds}.`);
  }
  const dialog = createInterface({ ...terminal });
  // Control-D ends the input with a question open.
  const ended = new Promise<never>((_, reject) => {
    dialog.once("close", () => reject(new WinnowError("ERR_CANCELLED", "Stopped: no answer came.")));
  });
  ended.catch(() => undefined);
  const ask = async (question: string, check: (answer: string) => unknown): Promise<string> => {
    const answer = (await Promise.race([dialog.question(question), ended])).trim();
    try {
      check(answer);
      return answer;
    } catch (error) {
      terminal.output.write(`${(error as Error).message}\n`);
      return ask(question, check);
    }
  };
  try {
    return {
      name: name ?? (await ask("Name, such as my-masker: ", parsePluginName)),
      kind: kind ?? (await ask(`Kind (${kindNames.join(", ")}): `, templateKind)),
      author: given.author ?? (await ask("Author, may be empty: ", () => undefined)),
    };
  } finally {
    dialog.close();
  }
}
