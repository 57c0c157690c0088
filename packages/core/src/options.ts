import { z } from "zod";
import { WinnowError } from "./errors.js";
import type { PluginKind } from "./plugin.js";

/** What an option entry carries besides type, range and default. Shown by `explain`, editors and the generated tables. */
export interface OptionInfo {
  /** One sentence: what it is, and what raising it does. */
  readonly description: string;
  /** `tokens`, `blocks`, `fraction`, ... */
  readonly unit?: string;
  /** Symbol in the paper. */
  readonly symbol?: string;
  /** Where default and range come from, e.g. `paper Table 7` or `reference code`. */
  readonly source?: string;
  /**
   * `path`: a file or folder, resolved relative to the configuration file before the plugin sees it.
   * `plugin`: another plugin with its options, see `pluginOption`.
   */
  readonly format?: "path" | "plugin";
  /** Kinds that a `plugin` may have. */
  readonly kinds?: readonly PluginKind[];
}

/** Attaches {@link OptionInfo} to a zod type; the only way that options get their documentation. */
export function option<T extends z.ZodType>(type: T, info: OptionInfo): T {
  return type.meta({ ...info }) as T;
}

/** Object schema of a plugin's options. Unknown keys are refused. */
export function defineOptions<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape);
}

/** Type of the options after defaults were filled in. */
export type OptionsOf<Schema extends z.ZodType> = z.output<Schema>;

/** One documented option, read back from a schema. */
export interface OptionEntry extends OptionInfo {
  readonly name: string;
  readonly type: string;
  readonly default?: unknown;
}

/** What the options of a schema carry, by name in order of declaration. Throws `ERR_PLUGIN_INVALID` for an entry without description. */
export function optionInfos(schema: z.ZodObject): Map<string, OptionInfo> {
  const entries = Object.entries(schema.shape).map(([name, type]) => {
    const info = (type as z.ZodType).meta() as OptionInfo | undefined;
    if (info?.description) return [name, info] as const;
    throw new WinnowError(
      "ERR_PLUGIN_INVALID",
      `Option "${name}" has no description. Declare it with option(type, { description }).`,
    );
  });
  return new Map(entries);
}

/** Options of a schema in order of declaration. Errors as of {@link optionInfos}. */
export function listOptions(schema: z.ZodObject): OptionEntry[] {
  return [...optionInfos(schema)].map(([name, info]) => {
    const type = schema.shape[name];
    const json = z.toJSONSchema(type as z.ZodType, { io: "input", unrepresentable: "any" }) as Record<string, unknown>;
    return { ...info, name, type: describeType(json), ...("default" in json && { default: json.default }) };
  });
}

function describeType(json: Record<string, unknown>): string {
  if (Array.isArray(json.enum)) return json.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (Array.isArray(json.anyOf))
    return json.anyOf.map((part) => describeType(part as Record<string, unknown>)).join(" | ");
  if ("const" in json) return JSON.stringify(json.const);
  if (json.type === "array") return `${describeType((json.items ?? {}) as Record<string, unknown>)}[]`;
  const low =
    json.exclusiveMinimum !== undefined
      ? `> ${json.exclusiveMinimum}`
      : json.minimum !== undefined && json.minimum !== Number.MIN_SAFE_INTEGER
        ? `>= ${json.minimum}`
        : "";
  const high =
    json.exclusiveMaximum !== undefined
      ? `< ${json.exclusiveMaximum}`
      : json.maximum !== undefined && json.maximum !== Number.MAX_SAFE_INTEGER
        ? `<= ${json.maximum}`
        : "";
  const range = [low, high].filter(Boolean).join(", ");
  return `${json.type ?? "any"}${range && ` (${range})`}`;
}
