import { WinnowError } from "@winnow/core";

/** Throws `ERR_USAGE` that names the first of `methods` that a benchmark does not have. */
export function checkMethods(methods: readonly string[], known: readonly string[]): void {
  const unknown = methods.find((method) => !known.includes(method));
  if (unknown !== undefined)
    throw new WinnowError(
      "ERR_USAGE",
      `There is no method "${unknown}" in this benchmark. Use some of ${known.join(", ")}.`,
    );
}
