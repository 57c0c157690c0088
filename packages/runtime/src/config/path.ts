import { WinnowError } from "@winnow/core";

/** Keys from the root of a configuration to a value. */
export type ConfigPath = readonly (string | number)[];

/** `prefill.overrides[0].layers`; keys that are no plain word are quoted: `options["a b"]`. */
export function formatPath(path: ConfigPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number" || !/^[\w$-]+$/.test(key)) return `${text}[${JSON.stringify(key)}]`;
    return text === "" ? key : `${text}.${key}`;
  }, "");
}

/** Reads `a.b[0].c` or `a.b.0.c`; digits stay strings, because only the container says whether they are an index. */
export function parsePath(text: string, argument: string): string[] {
  if (!/^[^.[\]]+(\.[^.[\]]+|\[\d+\])*$/.test(text)) {
    throw new WinnowError(
      "ERR_USAGE",
      `Cannot read ${argument}: the path must look like prefill.options.budget or steps[0].generate.maxNewTokens, got ${JSON.stringify(text)}.`,
    );
  }
  return text.replaceAll("]", "").split(/[.[]/);
}

/** The value at a path, undefined where the way ends early. */
export function valueAt(root: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string | number, unknown>)[key]
        : undefined,
    root,
  );
}
