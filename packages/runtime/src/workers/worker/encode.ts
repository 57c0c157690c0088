import type { EncodeTask } from "../messages.js";
import { sessionOf } from "./session.js";

/** Token ids of a text, special tokens of the model's template included. */
export async function encode({ context, text }: EncodeTask): Promise<Int32Array> {
  const { tokenizer } = await sessionOf(context);
  return Int32Array.from(tokenizer.encode(text));
}
