const shownCharacters = 80;
const shownEntries = 4;

/** A value in words that follow "got": short, on one line, never throwing. */
export function given(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "number") return String(value);
  if (typeof value === "string" || typeof value === "boolean" || value === null) return shorten(JSON.stringify(value));
  if (Array.isArray(value)) return givenList(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  const keys = Object.keys(value);
  return keys.length === 0 ? "an empty section" : `a section with ${shorten(keys.join(", "))}`;
}

function givenList(list: readonly unknown[]): string {
  const simple = list.every((item) => typeof item !== "object" || item === null);
  if (simple && list.length <= shownEntries) return `[${list.map(given).join(", ")}]`;
  return `a list of ${list.length} ${list.length === 1 ? "entry" : "entries"}`;
}

/** Keeps a hostile text from filling the screen. */
export function shorten(text: string, length = shownCharacters): string {
  return text.length > length ? `${text.slice(0, length - 3)}...` : text;
}
