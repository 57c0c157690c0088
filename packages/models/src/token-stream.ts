import type { TokenPieces } from "./token-pieces.js";

/**
 * Turns tokens into text as they come. A character whose bytes are spread over several tokens is held back until it is complete, so that the
 * texts returned, joined, are exactly the decoded whole. Bytes that can never form a character become U+FFFD.
 *
 * Cost: O(bytes of the token), whatever came before. State per sequence: at most 3 bytes.
 */
export class TokenStream {
  private readonly utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(
    private readonly pieces: TokenPieces,
    private readonly isHidden: (id: number) => boolean,
    private stripLeadingSpace: boolean,
  ) {}

  /** Text that becomes complete with this token; "" while a character is incomplete and for hidden tokens. */
  push(id: number): string {
    if (this.isHidden(id)) return "";
    return this.strip(this.utf8.decode(this.pieces.of(id), { stream: true }));
  }

  /** What is left at the end: U+FFFD if a character stayed incomplete, else "". The stream is then ready for a new text. */
  flush(): string {
    return this.strip(this.utf8.decode());
  }

  private strip(text: string): string {
    if (!this.stripLeadingSpace || text === "") return text;
    this.stripLeadingSpace = false;
    return text.startsWith(" ") ? text.slice(1) : text;
  }
}
