import type { Maker } from "./make.js";

/** Options that differ in one entry from those that the method is tried with. */
export interface OptionVariant {
  readonly name: string;
  readonly value: unknown;
  /** Parsed. */
  readonly options: Record<string, unknown>;
}

/** The part of JSON Schema that values are read from. */
interface ValueSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly ValueSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

/** One for each other value of an enum or boolean and each end of a declared range, without those that do not fit the other options. */
export function optionVariants({ definition, subject }: Maker): OptionVariant[] {
  const { properties = {} } = definition.options.toJSONSchema({ io: "input", unrepresentable: "any" });
  const tried = definition.options.parse(subject.options ?? {}) as Record<string, unknown>;
  return Object.entries(properties).flatMap(([name, schema]) =>
    valuesOf(schema as ValueSchema)
      .filter((value) => value !== tried[name])
      .flatMap((value) => {
        const { success, data } = definition.options.safeParse({ ...subject.options, [name]: value });
        return success ? [{ name, value, options: data as Record<string, unknown> }] : [];
      }),
  );
}

/** Values that a schema lists, and the ends of its range that a value can have. */
export function valuesOf(schema: ValueSchema): unknown[] {
  if (schema.enum) return [...schema.enum];
  if (schema.anyOf) return schema.anyOf.flatMap(valuesOf);
  if ("const" in schema) return [schema.const];
  if (schema.type === "boolean") return [false, true];
  if (schema.type === "integer")
    return [lowestOf(schema), highestOf(schema)].filter((end) => Number.isSafeInteger(end) && !isImplicit(end));
  return [schema.minimum, schema.maximum].filter((end) => end !== undefined);
}

function lowestOf({ minimum, exclusiveMinimum }: ValueSchema): number | undefined {
  return exclusiveMinimum === undefined ? minimum : exclusiveMinimum + 1;
}

function highestOf({ maximum, exclusiveMaximum }: ValueSchema): number | undefined {
  return exclusiveMaximum === undefined ? maximum : exclusiveMaximum - 1;
}

/** Integers end there whether or not the plugin says so. */
function isImplicit(end: number | undefined): boolean {
  return Math.abs(end ?? 0) === Number.MAX_SAFE_INTEGER;
}
