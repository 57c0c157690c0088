import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  findPluginReferences,
  type InnerPlugins,
  isPluginId,
  type ModelShape,
  type OptionInfo,
  type PluginDefinition,
  pluginKinds,
  requiredMethods,
  reservedPluginIds,
} from "@winnow/core";
import type { z } from "zod";
import { importModule } from "./load-plugin.js";
import type { InstalledPlugin } from "./manifest.js";

/** What one plugin does wrong; no problems: it can be used. */
export interface PluginCheck {
  readonly id: string;
  readonly problems: readonly string[];
  /** What could not be tried, and why. */
  readonly notes: readonly string[];
}

/** Any small model: `create` with the defaults must work for one. */
const sampleShape: ModelShape = { layers: 2, queryHeads: 4, kvHeads: 2, headDim: 64, contextLength: 4096 };

/**
 * Loads the module of plugins that one package declares (or one module exports) and holds it against the manifest and the contract. Lists everything that
 * is wrong instead of stopping at the first thing; never throws for a mistake of the plugin. `hasManifest`: the declarations come from a package.json.
 */
export async function checkPlugins(plugins: readonly InstalledPlugin[], hasManifest: boolean): Promise<PluginCheck[]> {
  const checks: PluginCheck[] = [];
  for (const url of new Set(plugins.map((plugin) => plugin.url))) {
    const declared = plugins.filter((plugin) => plugin.url === url);
    const loaded = await load(url);
    if (typeof loaded === "string") checks.push(...declared.map(({ id }) => ({ id, problems: [loaded], notes: [] })));
    else checks.push(...declared.map((plugin) => checkPlugin(plugin, loaded)));
    if (hasManifest && typeof loaded !== "string") checks.push(...undeclared(plugins, loaded));
  }
  return checks;
}

/** What a module exports, as a list, or why it cannot be loaded. */
async function load(url: string): Promise<readonly unknown[] | string> {
  const path = fileURLToPath(url);
  if (!existsSync(path))
    return `its module "${path}" does not exist; build the package, or correct exports in its package.json`;
  try {
    const { default: exported } = await importModule(url, path);
    if (exported === undefined) return `its module "${path}" has no default export`;
    return Array.isArray(exported) ? exported : [exported];
  } catch (error) {
    return (error as Error).message;
  }
}

function checkPlugin(declared: InstalledPlugin, exported: readonly unknown[]): PluginCheck {
  const { id } = declared;
  const found = exported.filter((value): value is PluginDefinition => (value as { id?: unknown } | null)?.id === id);
  if (found.length !== 1) {
    const ids = exported.map((value) => JSON.stringify((value as { id?: unknown } | null)?.id) ?? typeof value);
    return { id, problems: [`its module exports ${ids.join(", ")}: "${id}" must be there once`], notes: [] };
  }
  const definition = found[0];
  const made = tryCreate(definition);
  return {
    id,
    problems: [...manifestProblems(declared, definition), ...definitionProblems(definition), ...made.problems],
    notes: made.notes,
  };
}

function manifestProblems({ id, kind, summary }: InstalledPlugin, definition: PluginDefinition): string[] {
  return [
    ...(reservedPluginIds.includes(id) ? [`the name "${id}" has a meaning of its own; choose another`] : []),
    ...(definition.kind === kind ? [] : [`kind: package.json says "${kind}", the module "${definition.kind}"`]),
    ...(definition.summary === summary
      ? []
      : [`summary: package.json says ${JSON.stringify(summary)}, the module ${JSON.stringify(definition.summary)}`]),
  ];
}

function definitionProblems(definition: PluginDefinition): string[] {
  const { id, kind, source, options } = definition;
  const problems: string[] = [];
  if (!isPluginId(id)) problems.push("id must be kebab-case");
  if (!pluginKinds.includes(kind)) problems.push(`kind must be one of ${pluginKinds.join(", ")}, got "${kind}"`);
  if (typeof source?.title !== "string" || source.title === "") problems.push("source must have a title");
  if (typeof definition.create !== "function") problems.push("create must be a function");
  for (const optional of ["check", "fixtures", "tune"] as const)
    if (definition[optional] !== undefined && typeof definition[optional] !== "function")
      problems.push(`${optional} must be a function or absent`);
  if (typeof options?.shape !== "object") return [...problems, "options must be a zod object schema (defineOptions)"];
  const undocumented = Object.entries(options.shape).filter(([, type]) => !infoOf(type as z.ZodType)?.description);
  return [...problems, ...undocumented.map(([name]) => `option "${name}" has no description`)];
}

function infoOf(type: z.ZodType): OptionInfo | undefined {
  return type.meta?.() as OptionInfo | undefined;
}

/** Makes the plugin with the defaults of its options and looks for the methods of its kind. */
function tryCreate(definition: PluginDefinition): Pick<PluginCheck, "problems" | "notes"> {
  const { kind, options: schema } = definition;
  if (typeof schema?.shape !== "object" || typeof definition.create !== "function") return { problems: [], notes: [] };
  try {
    const parsed = schema.safeParse({});
    if (!parsed.success) return untried("some options have no default");
    if (findPluginReferences(schema, parsed.data).length > 0) return untried("its options hold other plugins");
    const problems = definition.check?.(parsed.data as never, sampleShape) ?? [];
    if (!Array.isArray(problems)) return { problems: [`check must return a list, got ${typeof problems}`], notes: [] };
    const made: unknown = definition.create(parsed.data as never, sampleShape, {} as InnerPlugins);
    const missing = (requiredMethods[kind] ?? []).filter(
      (method) => typeof (made as Record<string, unknown> | null | undefined)?.[method] !== "function",
    );
    return { problems: missing.map((method) => `create must return a ${kind} with a method ${method}`), notes: [] };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { problems: [`its options or create failed with the defaults: ${detail}`], notes: [] };
  }
}

function untried(reason: string): Pick<PluginCheck, "problems" | "notes"> {
  return { problems: [], notes: [`create was not tried: ${reason}`] };
}

/** Plugins that a module exports and its package does not declare: nobody finds them. */
function undeclared(declared: readonly InstalledPlugin[], exported: readonly unknown[]): PluginCheck[] {
  return exported
    .map((value) => (value as { id?: unknown } | null)?.id)
    .filter((id): id is string => typeof id === "string" && declared.every((plugin) => plugin.id !== id))
    .map((id) => ({ id, problems: ["package.json does not declare it under winnow.plugins"], notes: [] }));
}
