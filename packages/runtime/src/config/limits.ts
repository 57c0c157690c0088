import { Lexer } from "yaml";

/** Bounds on what a configuration may hold; a real one stays a thousand times below. They keep hostile text from costing more than a moment. */
export const limits = {
  bytes: 1 << 20,
  /** Sections inside sections. */
  depth: 64,
  /** Values, counted after aliases are replaced by what they stand for. */
  values: 100_000,
} as const;

/**
 * Offset of the first token that opens more than `limits.depth` levels on its line or in flow brackets, or -1.
 * The parser recurses once per level and brings the process down on deep input, so this looks at tokens only. O(n).
 */
export function tooDeepAt(text: string): number {
  let offset = 0;
  let brackets = 0;
  let indicators = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === "[" || token === "{") brackets++;
    else if (token === "]" || token === "}") brackets = Math.max(0, brackets - 1);
    else if (token === "-" || token === "?") indicators++;
    else if (token === "\n" || token === "\r\n") indicators = 0;
    if (brackets > limits.depth || indicators > limits.depth) return offset;
    // The lexer marks document starts, scalars and ends with control characters that are not in the text.
    if (token !== "\u0002" && token !== "\u0018" && token !== "\u001f") offset += token.length;
  }
  return -1;
}
