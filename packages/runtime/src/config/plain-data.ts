import type { ErrorCode } from "@winnow/core";
import { forbiddenKeys } from "./forbidden-keys.js";
import { given } from "./given.js";
import { limits } from "./limits.js";
import type { ConfigPath } from "./path.js";
import type { Place, PlacedValue } from "./place.js";
import { errorOf, problemAt } from "./problem.js";

/**
 * Copies an object of a program as plain data: plain objects, arrays, strings, numbers, booleans, null, within {@link limits}.
 * Keys whose value is undefined count as absent. Errors: `ERR_OPTION_TYPE`, `ERR_OPTION_RANGE`, `ERR_OPTION_UNKNOWN`.
 */
export function copyPlainData(input: unknown): PlacedValue {
  return new PlainCopier().copy(input, []);
}

const leaf: Place = { origin: "code", children: new Map() };

class PlainCopier {
  /** Objects around the value that is being copied. */
  readonly #open = new Set<object>();
  #values = 0;

  copy(input: unknown, path: ConfigPath): PlacedValue {
    if (++this.#values > limits.values) throw refuse([], "ERR_OPTION_RANGE", `holds more than ${limits.values} values`);
    if (path.length > limits.depth) {
      throw refuse(path.slice(0, 1), "ERR_OPTION_RANGE", `has more than ${limits.depth} levels of nesting`);
    }
    if (isScalar(input)) return { value: input, place: leaf };
    if (!isPlain(input)) throw refuse(path, "ERR_OPTION_TYPE", `must be plain data, got ${kindOf(input)}`);
    if (this.#open.has(input))
      throw refuse(path, "ERR_OPTION_TYPE", "must be plain data, got an object that contains itself");
    this.#open.add(input);
    const copied = this.#copyContent(input, path);
    this.#open.delete(input);
    return copied;
  }

  #copyContent(input: object, path: ConfigPath): PlacedValue {
    const children = new Map<string | number, Place>();
    const place: Place = { origin: "code", children };
    const add = (key: string | number, item: unknown) => {
      const copied = this.copy(item, [...path, key]);
      children.set(key, copied.place);
      return copied.value;
    };
    if (Array.isArray(input)) return { value: Array.from(input, (item, index) => add(index, item)), place };
    const value: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(input)) {
      if (forbiddenKeys.has(key)) throw refuse([...path, key], "ERR_OPTION_UNKNOWN", "is refused as a key");
      if (item !== undefined) value[key] = add(key, item);
    }
    return { value, place };
  }
}

function isScalar(value: unknown): boolean {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}

/** Arrays, and objects without a class, of any realm. */
function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function kindOf(value: unknown): string {
  if (typeof value !== "object") return given(value);
  const name = value?.constructor?.name;
  return name ? `an instance of ${name}` : "an instance of a class";
}

function refuse(path: ConfigPath, code: ErrorCode, text: string): Error {
  return errorOf([problemAt(leaf, { path, code, text })]);
}
