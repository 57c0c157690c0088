import type { SourceLocation } from "@winnow/core";
import type { ConfigPath } from "./path.js";

/** Where a value of a configuration was written; the tree has the shape of the value. */
export interface Place {
  readonly origin: "yaml" | "set" | "code";
  /** Of the key, for complaints about the key. */
  readonly key?: SourceLocation;
  readonly value?: SourceLocation;
  /** The whole argument, `--set a.b=1`, where the value came from one. */
  readonly argument?: string;
  readonly children: ReadonlyMap<string | number, Place>;
}

/** A value with the place of each of its parts. */
export interface PlacedValue {
  readonly value: unknown;
  readonly place: Place;
}

/** Where a resolved value comes from. */
export interface Origin {
  readonly origin: "default" | "yaml" | "set" | "code";
  readonly location?: SourceLocation;
}

/** Place of the value itself, undefined for a value that nobody wrote (a default). */
export function placeOf(root: Place, path: ConfigPath): Place | undefined {
  return path.reduce<Place | undefined>((place, key) => place?.children.get(key), root);
}

/** Place of the value, else of the nearest section around it; `exact` tells which. */
export function nearestPlace(root: Place, path: ConfigPath): { place: Place; exact: boolean } {
  for (let end = path.length; end > 0; end--) {
    const place = placeOf(root, path.slice(0, end));
    if (place) return { place, exact: end === path.length };
  }
  return { place: root, exact: path.length === 0 };
}

/** What to point at for a complaint about the value at `path`, or about its key. Undefined for values that stand in no file. */
export function locationOf(root: Place, path: ConfigPath, part: "key" | "value" = "value"): SourceLocation | undefined {
  const { place, exact } = nearestPlace(root, path);
  return part === "key" || !exact ? (place.key ?? place.value) : (place.value ?? place.key);
}
