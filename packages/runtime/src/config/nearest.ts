import { closest, distance } from "fastest-levenshtein";

/** `Did you mean "x"? ` for the nearest candidate if it is near `given`, else nothing. */
export function didYouMean(given: string, candidates: readonly string[]): string {
  if (candidates.length === 0) return "";
  const nearest = closest(given.slice(0, 200), candidates);
  return distance(given.slice(0, 200), nearest) <= Math.max(2, Math.ceil(nearest.length / 2))
    ? `Did you mean ${JSON.stringify(nearest)}? `
    : "";
}
