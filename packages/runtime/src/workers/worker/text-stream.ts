import type { Tokenizer, TokenStream } from "@winnow/models";

/** What a chunk of generated tokens made readable. */
export interface EmittedText {
  readonly text: string;
  /** A stop string was met; `text` ends before it. */
  readonly stopped: boolean;
}

/** A character has at most 4 bytes and every token at least 1, so these many tokens hold all that can be open. */
const OPEN_TOKENS = 3;

/**
 * Text of a token stream: never half a character, never part of a stop string.
 * Text that may turn out to be the start of a stop string is held back. Goes on from `state` of an earlier stream.
 */
export class TextStream {
  readonly #stream: TokenStream;
  readonly #stops: readonly string[];
  #recentIds: readonly number[] = [];
  #held: string;

  constructor(tokenizer: Tokenizer, stops: readonly string[], { recentIds, heldText }: TextState = noText) {
    this.#stream = tokenizer.stream();
    this.#stops = stops;
    this.#held = heldText;
    for (const id of recentIds) this.#decode(id);
  }

  push(id: number): EmittedText {
    const text = this.#held + this.#decode(id);
    const stop = firstStop(text, this.#stops);
    const keep = stop >= 0 ? 0 : longestStopPrefix(text, this.#stops);
    this.#held = text.slice(text.length - keep);
    return stop >= 0
      ? { text: text.slice(0, stop), stopped: true }
      : { text: text.slice(0, text.length - keep), stopped: false };
  }

  /** The rest, when the stream ends: an incomplete character becomes U+FFFD. */
  flush(): EmittedText {
    const text = this.#held + this.#stream.flush();
    this.#held = "";
    const stop = firstStop(text, this.#stops);
    return stop < 0 ? { text, stopped: false } : { text: text.slice(0, stop), stopped: true };
  }

  #decode(id: number): string {
    this.#recentIds = [...this.#recentIds, id].slice(-OPEN_TOKENS);
    return this.#stream.push(id);
  }

  get state(): TextState {
    return { recentIds: this.#recentIds, heldText: this.#held };
  }
}

export interface TextState {
  /** The last tokens: their bytes may belong to a character that is still open. */
  readonly recentIds: readonly number[];
  /** Text held back because it may be the start of a stop string. */
  readonly heldText: string;
}

/** Before the first token. */
export const noText: TextState = { recentIds: [], heldText: "" };

function firstStop(text: string, stops: readonly string[]): number {
  let first = -1;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at >= 0 && (first < 0 || at < first)) first = at;
  }
  return first;
}

/** Length of the longest end of `text` that some stop string starts with. */
function longestStopPrefix(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length;
    }
  }
  return longest;
}
