import type { z } from "zod";

/** An object of optional keys of which exactly one must be given. */
export function exactlyOne<Schema extends z.ZodObject>(schema: Schema): Schema {
  const keys = Object.keys(schema.shape);
  return schema.superRefine((value, context) => {
    const given = keys.filter((key) => (value as Record<string, unknown>)[key] !== undefined);
    if (given.length === 1) return;
    context.addIssue({
      code: "custom",
      message: `must have exactly one of ${keys.join(", ")}, got ${given.length === 0 ? "none" : given.join(", ")}`,
      params: { code: given.length === 0 ? "ERR_OPTION_MISSING" : "ERR_PLAN_CONFLICT", complete: true },
    });
  });
}
