import { readFileSync, statSync } from "node:fs";
import { type ErrorCode, WinnowError } from "@winnow/core";

/** Larger than any real tokenizer.json (about 20 MB), small enough not to exhaust memory when parsed. */
const MAX_JSON_BYTES = 256 * 1024 * 1024;

export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parses a JSON file whose top level is an object; anything else is a `WinnowError` of the given code that names the file. */
export function readJsonObject(path: string, code: ErrorCode): JsonObject {
  const value = parseJson(readSmallFile(path, code), path, code);
  if (!isJsonObject(value)) {
    throw new WinnowError(
      code,
      `Cannot use "${path}": its top level must be a JSON object, got ${describe(value)}. Download the file again.`,
    );
  }
  return value;
}

/** A value as it appears in an error message: short, quoted where it is text. */
export function describe(value: unknown): string {
  const text = value === undefined ? "nothing" : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function readSmallFile(path: string, code: ErrorCode): string {
  try {
    const { size } = statSync(path);
    if (size <= MAX_JSON_BYTES) return readFileSync(path, "utf8");
    throw new WinnowError(code, `Cannot use "${path}": it must be at most ${MAX_JSON_BYTES} bytes long, got ${size}.`);
  } catch (cause) {
    if (cause instanceof WinnowError) throw cause;
    throw new WinnowError(code, `Cannot read "${path}": ${(cause as Error).message}. Check the path and its rights.`, {
      cause,
    });
  }
}

function parseJson(text: string, path: string, code: ErrorCode): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WinnowError(
      code,
      `Cannot use "${path}": it must be JSON, got ${(cause as Error).message}. Download the file again.`,
      { cause },
    );
  }
}
