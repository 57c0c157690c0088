import { WinnowError } from "@winnow/core";
import { ConformanceError, errorOf, messageOf } from "./check.js";

/**
 * What a method makes of NaN must be an error, unless it is what it makes of entirely other numbers too. Returns a note for the latter case.
 * `difference` says where the two results differ, in words, or undefined.
 */
export function requireRefusal<T>(
  inputs: string,
  onNaN: () => T,
  onOthers: () => T,
  difference: (actual: T, expected: T) => string | undefined,
): string | undefined {
  let result: { value: T } | undefined;
  const error = errorOf(() => {
    result = { value: onNaN() };
  });
  if (error instanceof WinnowError || error?.cause instanceof WinnowError) return undefined;
  if (!result) throw new ConformanceError(`a WinnowError for NaN in ${inputs}`, `"${messageOf(error)}"`, error);
  const found = difference(result.value, onOthers());
  if (found === undefined) return `the result does not depend on ${inputs}`;
  throw new ConformanceError(
    `an error for NaN in ${inputs}, or a result that does not depend on them`,
    "a result that looks like any other",
  );
}
