import type { z } from "zod";

/** Reports a wrong value; `key` is its path in the file. */
export type Fail = (key: string, expected: string, given: unknown) => never;

/** The value as the schema reads it; the first thing wrong with it goes to `fail` as "key must be <expected>, got <given>". */
export function checkSchema<T>(schema: z.ZodType<T>, value: unknown, fail: Fail, prefix = ""): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const given = issue.path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)?.[key], value);
  return fail(prefix + issue.path.join("."), expectation(issue), given);
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.expected === "int" ? "an integer" : `of type ${issue.expected}`;
    case "too_small":
      return `${issue.inclusive ? "at least" : "above"} ${issue.minimum}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}
