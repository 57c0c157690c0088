import { WinnowError } from "@winnow/core";
import { forbiddenKeys } from "./forbidden-keys.js";
import { parsePath } from "./path.js";
import type { Place, PlacedValue } from "./place.js";
import { readYaml } from "./yaml-text.js";

/**
 * Applies one `path=value` over a configuration; returns a new one. The value is YAML; missing sections and lists on the way are made.
 * An index equal to the length of a list appends. Errors: `ERR_USAGE`, `ERR_CONFIG_SYNTAX`, `ERR_OPTION_TYPE`, `ERR_OPTION_RANGE`, `ERR_OPTION_UNKNOWN`.
 */
export function applySet(base: PlacedValue, assignment: string): PlacedValue {
  const argument = `--set ${assignment}`;
  const equals = assignment.indexOf("=");
  if (equals < 0) {
    throw new WinnowError("ERR_USAGE", `Cannot read ${argument}: it must have the form path=value.`);
  }
  const path = parsePath(assignment.slice(0, equals), argument);
  const forbidden = path.find((key) => forbiddenKeys.has(key));
  if (forbidden) throw new WinnowError("ERR_OPTION_UNKNOWN", `Cannot read ${argument}: key "${forbidden}" is refused.`);
  const value = readYaml(assignment.slice(equals + 1), { file: argument, argument });
  return assign(base, path, 0, value, argument);
}

function assign(
  base: PlacedValue | undefined,
  path: readonly string[],
  depth: number,
  leaf: PlacedValue,
  argument: string,
): PlacedValue {
  if (depth === path.length) return leaf;
  const container = base?.value ?? (/^\d+$/.test(path[depth]) ? [] : {});
  if (typeof container !== "object") {
    const section = path.slice(0, depth).join(".");
    throw new WinnowError(
      "ERR_OPTION_TYPE",
      `Cannot apply ${argument}: ${section} must be a section, got ${JSON.stringify(container)}.`,
    );
  }
  const key = Array.isArray(container) ? listIndex(path[depth], container.length, argument) : path[depth];
  const inner = child(base, container, key);
  const next = assign(inner, path, depth + 1, leaf, argument);
  const value = Array.isArray(container) ? [...container] : { ...container };
  (value as Record<string | number, unknown>)[key] = next.value;
  const place: Place = base?.place ?? { origin: "set", argument, children: new Map() };
  return { value, place: { ...place, children: new Map(place.children).set(key, next.place) } };
}

function child(base: PlacedValue | undefined, container: object, key: string | number): PlacedValue | undefined {
  const place = base?.place.children.get(key);
  return place && { value: (container as Record<string | number, unknown>)[key], place };
}

function listIndex(key: string, length: number, argument: string): number {
  const index = Number(key);
  if (/^\d+$/.test(key) && index <= length) return index;
  throw new WinnowError(
    "ERR_OPTION_RANGE",
    `Cannot apply ${argument}: the list needs an index from 0 to ${length}, got ${JSON.stringify(key)}.`,
  );
}
