import { z } from "zod";
import { WinnowError } from "./errors.js";
import type { KvPruner } from "./kv-pruner.js";
import type { Masker } from "./masker.js";
import { type OptionInfo, option } from "./options.js";
import type { PluginKind } from "./plugin.js";
import type { WeightSparsifier } from "./weight-sparsifier.js";

/** A plugin that stands in another plugin's options, with its own. */
export interface PluginReference {
  readonly plugin: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Makes the plugins that stand in a plugin's options; scorers come as what they score for. */
export interface InnerPlugins {
  masker(reference: PluginReference): Masker;
  kvPruner(reference: PluginReference): KvPruner;
  weightSparsifier(reference: PluginReference): WeightSparsifier;
}

/** The third argument of `create`, for plugins that cannot do without. Throws `ERR_PLUGIN_FAILED` where a host gives none. */
export function requirePlugins(plugins: InnerPlugins | undefined): InnerPlugins {
  if (plugins) return plugins;
  throw new WinnowError(
    "ERR_PLUGIN_FAILED",
    "The plugins in its options cannot be made here: create was called without its third argument. Run it in a pipeline.",
  );
}

/**
 * An option that takes another plugin, `{ plugin, options }`. The planner resolves it like a plugin of the pipeline itself: found by id, package name or
 * path, options checked by their own schema, nested as deep as wanted. `create` turns it into a method through {@link InnerPlugins}.
 * `more`: entries that stand beside `plugin` and `options`.
 */
export function pluginOption<More extends z.ZodRawShape = Record<never, never>>(
  kinds: readonly PluginKind[],
  info: Pick<OptionInfo, "description">,
  more: More = {} as More,
) {
  const schema = z.strictObject({
    ...more,
    plugin: z.string().min(1).meta({ description: "Id, package name or relative path of the plugin." }),
    options: z
      .record(z.string(), z.unknown())
      .default({})
      .meta({ description: "Options of that plugin, by its own schema." }),
  });
  return option(schema, { ...info, format: "plugin", kinds });
}

export interface FoundReference {
  /** Inside the options. */
  readonly path: readonly (string | number)[];
  readonly kinds: readonly PluginKind[];
}

/** Where the options of a plugin hold other plugins: entries made by {@link pluginOption}, also inside lists, sections and records. */
export function findPluginReferences(schema: z.ZodType, value: unknown): FoundReference[] {
  if (value === undefined || value === null) return [];
  const info = schema.meta() as OptionInfo | undefined;
  if (info?.format === "plugin") return [{ path: [], kinds: info.kinds ?? [] }];
  const inner = (schema as { _zod: { def: { innerType?: z.ZodType } } })._zod.def.innerType;
  if (inner) return findPluginReferences(inner, value);
  const below = (key: string | number, part: z.ZodType) =>
    findPluginReferences(part, (value as Record<string | number, unknown>)[key]).map((found) => ({
      ...found,
      path: [key, ...found.path],
    }));
  if (schema instanceof z.ZodObject)
    return Object.entries(schema.shape).flatMap(([key, part]) => below(key, part as z.ZodType));
  if (schema instanceof z.ZodArray)
    return (value as unknown[]).flatMap((_, index) => below(index, schema.element as z.ZodType));
  if (schema instanceof z.ZodRecord)
    return Object.keys(value).flatMap((key) => below(key, schema.valueType as z.ZodType));
  return [];
}
