import { WinnowError } from "@winnow/core/errors";

/** `name=value` arguments; values are JSON where they parse as such, else text. */
export function parseAssignments(list: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    list.map((text) => {
      const at = text.indexOf("=");
      if (at < 1) throw new WinnowError("ERR_USAGE", `Expected name=value, got "${text}".`);
      return [text.slice(0, at), parseValue(text.slice(at + 1))];
    }),
  );
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
