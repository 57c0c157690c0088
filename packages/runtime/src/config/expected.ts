import { z } from "zod";

type Json = Record<string, unknown>;

/** What a schema accepts, in words that follow "must be": `an integer >= 1 or "auto"`. */
export function expectedOf(schema: z.ZodType): string {
  return describe(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Json);
}

function describe(json: Json): string {
  if (Array.isArray(json.anyOf)) return (json.anyOf as Json[]).map(describe).join(" or ");
  if ("const" in json) return JSON.stringify(json.const);
  if (Array.isArray(json.enum)) {
    const values = json.enum.map((value) => JSON.stringify(value));
    return values.length === 1 ? values[0] : `one of ${values.join(", ")}`;
  }
  if (json.type === "array") {
    const items = describe((json.items ?? {}) as Json);
    return `a list${count(json.minItems, json.maxItems, "entries")}, each ${items}`;
  }
  if (json.type === "string" && json.minLength === 1 && json.maxLength === undefined) return "a non-empty string";
  if (json.type === "string") return `a string${count(json.minLength, json.maxLength, "characters")}`;
  if (json.type === "number" || json.type === "integer") {
    return `${json.type === "integer" ? "an integer" : "a number"}${range(json)}`;
  }
  return words[String(json.type)] ?? "another value";
}

const words: Record<string, string> = {
  object: "a section (key: value)",
  boolean: "true or false",
  null: "null",
};

function range(json: Json): string {
  const low = json.minimum === Number.MIN_SAFE_INTEGER ? undefined : json.minimum;
  const high = json.maximum === Number.MAX_SAFE_INTEGER ? undefined : json.maximum;
  if (low !== undefined && high !== undefined) return ` from ${low} to ${high}`;
  const bounds = [
    json.exclusiveMinimum !== undefined && `> ${json.exclusiveMinimum}`,
    low !== undefined && `>= ${low}`,
    json.exclusiveMaximum !== undefined && `< ${json.exclusiveMaximum}`,
    high !== undefined && `<= ${high}`,
  ].filter(Boolean);
  return bounds.length === 0 ? "" : ` ${bounds.join(" and ")}`;
}

function count(least: unknown, most: unknown, unit: string): string {
  const bounds = [least !== undefined && `at least ${least}`, most !== undefined && `at most ${most}`].filter(Boolean);
  return bounds.length === 0 ? "" : ` of ${bounds.join(" and ")} ${unit}`;
}
