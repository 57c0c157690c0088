import { Lexer } from "yaml";

/** Bounds on what a configuration may hold; a real one stays a thousand times below. They keep hostile text from costing more than a moment. */
export const limits = {
  bytes: 1 << 20,
  /** Sections inside sections. */
  depth: 64,
  /** Values, counted after aliases are replaced by what they stand for. */
  values: 100_000,
} as const;

/** Tokens with which the lexer marks starts, scalars and ends; they are not in the text. */
const marks: ReadonlySet<string> = new Set(["\u0002", "\u0018", "\u001f"]);

/**
 * Offset of the first token that stands clearly inside more than `limits.depth` levels, or -1. Counts roughly: a scalar may count as a level of
 * its own, a list at the column of its key as none; who reads the parsed values counts exactly.
 * The parser recurses once per level and runs out of stack on deep input, so this looks at tokens only. O(n).
 */
export function tooDeepAt(text: string): number {
  let offset = 0;
  let lineStart = 0;
  let brackets = 0;
  /** Columns of the open levels that indentation and "- " make, ascending. */
  const columns: number[] = [];
  let opensLevel = true;
  for (const token of new Lexer().lex(text)) {
    if (marks.has(token)) continue;
    if (token === "[" || token === "{") brackets++;
    else if (token === "]" || token === "}") brackets = Math.max(0, brackets - 1);
    const isSpace = token.trim() === "" || token.startsWith("#");
    if (opensLevel && !isSpace && brackets === 0) openLevel(columns, offset - lineStart);
    if (columns.length + brackets > limits.depth + 1) return offset;
    const newline = token.lastIndexOf("\n");
    if (newline >= 0) lineStart = offset + newline + 1;
    opensLevel = newline >= 0 || token === "-" || token === "?" || (opensLevel && isSpace);
    offset += token.length;
  }
  return -1;
}

function openLevel(columns: number[], column: number): void {
  while (columns.length > 0 && columns[columns.length - 1] >= column) columns.pop();
  columns.push(column);
}
