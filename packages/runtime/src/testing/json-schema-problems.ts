type Json = Record<string, unknown>;

/** Paths of a value that a JSON Schema refuses, for the keywords that pipeline schemas use; an unknown keyword throws. */
export function jsonSchemaProblems(schema: Json | boolean, value: unknown, path = "$"): string[] {
  if (typeof schema === "boolean") return schema ? [] : [path];
  return Object.entries(schema).flatMap(([keyword, expected]) => {
    if (annotations.has(keyword)) return [];
    if (keyword === "if") {
      const branch = fits(schema.if as Json, value) ? schema.then : schema.else;
      return branch === undefined ? [] : jsonSchemaProblems(branch as Json, value, path);
    }
    if (keyword === "additionalProperties") return extraProblems(schema, value, path);
    const check = checks[keyword];
    if (!check) throw new Error(`unknown JSON Schema keyword ${keyword} at ${path}`);
    return check(expected as never, value, path);
  });
}

const annotations = new Set(["$schema", "title", "description", "default", "then", "else"]);

type Check = (expected: never, value: unknown, path: string) => string[];

const fits = (schema: Json | boolean, value: unknown) => jsonSchemaProblems(schema, value).length === 0;
const passes = (ok: boolean, path: string) => (ok ? [] : [path]);
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const number =
  (compare: (value: number, bound: number) => boolean): Check =>
  (bound, value, path) =>
    passes(typeof value !== "number" || compare(value, bound), path);

const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === "string",
  boolean: (value) => typeof value === "boolean",
  number: (value) => typeof value === "number",
  integer: Number.isInteger,
  null: (value) => value === null,
};

const checks: Readonly<Record<string, Check>> = {
  type: (type: string, value, path) => passes(types[type](value), path),
  const: (constant, value, path) => passes(value === constant, path),
  enum: (values: unknown[], value, path) => passes(values.includes(value), path),
  anyOf: (choices: Json[], value, path) =>
    passes(
      choices.some((choice) => fits(choice, value)),
      path,
    ),
  allOf: (parts: Json[], value, path) => parts.flatMap((part) => jsonSchemaProblems(part, value, path)),
  not: (refused: Json, value, path) => passes(!fits(refused, value), path),
  required: (names: string[], value, path) =>
    isObject(value) ? names.filter((name) => !(name in value)).map((name) => `${path}.${name}`) : [],
  properties: (properties: Record<string, Json>, value, path) =>
    isObject(value)
      ? Object.entries(value).flatMap(([name, inner]) =>
          Object.hasOwn(properties, name) ? jsonSchemaProblems(properties[name], inner, `${path}.${name}`) : [],
        )
      : [],
  propertyNames: (names: Json, value, path) =>
    isObject(value) ? Object.keys(value).flatMap((name) => jsonSchemaProblems(names, name, `${path}.${name}`)) : [],
  items: (items: Json, value, path) =>
    Array.isArray(value) ? value.flatMap((item, index) => jsonSchemaProblems(items, item, `${path}[${index}]`)) : [],
  minItems: (least: number, value, path) => passes(!Array.isArray(value) || value.length >= least, path),
  maxItems: (most: number, value, path) => passes(!Array.isArray(value) || value.length <= most, path),
  minLength: (least: number, value, path) => passes(typeof value !== "string" || value.length >= least, path),
  pattern: (pattern: string, value, path) => passes(typeof value !== "string" || new RegExp(pattern).test(value), path),
  minimum: number((value, bound) => value >= bound),
  maximum: number((value, bound) => value <= bound),
  exclusiveMinimum: number((value, bound) => value > bound),
  exclusiveMaximum: number((value, bound) => value < bound),
};

function extraProblems(schema: Json, value: unknown, path: string): string[] {
  if (!isObject(value)) return [];
  const known = (schema.properties ?? {}) as Json;
  return Object.entries(value)
    .filter(([name]) => !Object.hasOwn(known, name))
    .flatMap(([name, inner]) => jsonSchemaProblems(schema.additionalProperties as Json, inner, `${path}.${name}`));
}
