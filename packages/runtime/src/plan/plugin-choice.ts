import { isAbsolute, resolve } from "node:path";
import {
  findPluginReferences,
  listOptions,
  type ModelShape,
  type OptionEntry,
  type OptionProblem,
  type PluginDefinition,
  type PluginKind,
  WinnowError,
} from "@winnow/core";
import { type ConfigDocument, validateOptions } from "../config/config.js";
import { type ConfigPath, valueAt } from "../config/path.js";
import { deepFreeze } from "../registry/deep-freeze.js";
import { guardPlugin } from "../registry/guard-plugin.js";
import type { InstalledPlugin } from "../registry/manifest.js";
import type { PluginRegistry } from "../registry/registry.js";
import { atPlace } from "./at-place.js";
import type { PlannedInner, ProvenanceEntry } from "./plan.js";

/** A plugin named by a configuration, with its options resolved. */
export interface PluginChoice {
  readonly plugin: InstalledPlugin;
  readonly options: Readonly<Record<string, unknown>>;
  /** Of the plugins inside the options, too. */
  readonly provenance: readonly ProvenanceEntry[];
  /** Plugins that stand in the options. */
  readonly inner: readonly PluginChoice[];
}

/** Ids of a choice and of the plugins inside it. */
export function pluginIds({ plugin, inner }: PluginChoice): string[] {
  return [plugin.id, ...inner.flatMap(pluginIds)];
}

/** What a plan says of the plugins inside a choice; nothing where there are none. */
export function plannedInner(choice: PluginChoice | undefined): { readonly inner?: readonly PlannedInner[] } {
  return choice && choice.inner.length > 0 ? { inner: choice.inner.map(innerTree) } : {};
}

function innerTree({ plugin, inner }: PluginChoice): PlannedInner {
  return { plugin: plugin.id, inner: inner.map(innerTree) };
}

/** What stands in the configuration: the name at `path/key`, its options at `path/options`. */
export interface PluginSlot {
  readonly path: ConfigPath;
  /** Place of options that replace those at `path/options` one by one. */
  readonly override?: ConfigPath;
  readonly key: "masker" | "kvPruner" | "sparsifier" | "plugin";
  readonly kinds: readonly PluginKind[];
}

/**
 * Finds the plugin of a slot, checks its options against its schema, resolves path options against the configuration's folder and asks the plugin
 * whether the options fit the model.
 */
export async function choosePlugin(
  document: ConfigDocument,
  registry: PluginRegistry,
  slot: PluginSlot,
  shape: ModelShape,
): Promise<PluginChoice> {
  const namePath = [...slot.path, slot.key];
  const ownPath = [...slot.path, "options"];
  const optionsPath = slot.override ? [...slot.override, "options"] : ownPath;
  const reference = String(valueAt(document.value, namePath));
  const plugin = await resolvePlugin(document, registry, slot, reference, namePath);
  const definition = await atPlace(document, namePath, () => registry.load(plugin.id));
  const given = { ...optionsAt(document, ownPath), ...optionsAt(document, optionsPath) };
  const entries = guardPlugin(plugin.id, "options", () => listOptions(definition.options));
  const checked = validateOptions(definition.options, given, { document, path: optionsPath, plugin: plugin.id });
  const withPaths = resolvePaths(checked, entries, document.folder);
  const { options, inner } = await chooseInner(
    document,
    registry,
    { definition, options: withPaths, ownPath, optionsPath },
    shape,
  );
  refuseProblems(document, definition, options, shape, optionsPath);
  const provenance = entries.map((entry) => provenanceOf(document, entry, options, optionsPath));
  return { plugin, options, inner, provenance: [...provenance, ...inner.flatMap((choice) => choice.provenance)] };
}

interface OuterOptions {
  readonly definition: PluginDefinition;
  readonly options: Readonly<Record<string, unknown>>;
  readonly ownPath: ConfigPath;
  readonly optionsPath: ConfigPath;
}

/** Resolves the plugins inside the options of a plugin and puts their resolved options in place. */
async function chooseInner(
  document: ConfigDocument,
  registry: PluginRegistry,
  { definition, options, ownPath, optionsPath }: OuterOptions,
  shape: ModelShape,
): Promise<Pick<PluginChoice, "options" | "inner">> {
  const { resolved, references } = guardPlugin(definition.id, "options", () => ({
    resolved: structuredClone(options) as Record<string, unknown>,
    references: findPluginReferences(definition.options, options),
  }));
  const inner: PluginChoice[] = [];
  for (const { path, kinds } of references) {
    // Options of an override take the place of the entry's own one by one.
    const isOverridden = valueAt(document.value, [...optionsPath, path[0]]) !== undefined;
    const slot = { path: [...(isOverridden ? optionsPath : ownPath), ...path], key: "plugin", kinds } as const;
    const choice = await choosePlugin(document, registry, slot, shape);
    inner.push(choice);
    Object.assign(valueAt(resolved, path) as object, { plugin: choice.plugin.id, options: choice.options });
  }
  return { options: resolved, inner };
}

function optionsAt(document: ConfigDocument, path: ConfigPath): Readonly<Record<string, unknown>> {
  return valueAt(document.value, path) as Readonly<Record<string, unknown>>;
}

async function resolvePlugin(
  document: ConfigDocument,
  registry: PluginRegistry,
  slot: PluginSlot,
  reference: string,
  namePath: ConfigPath,
): Promise<InstalledPlugin> {
  const plugin = await atPlace(document, namePath, () => registry.resolve(reference, slot.kinds));
  if (slot.kinds.includes(plugin.kind)) return plugin;
  throw document.fail(
    namePath,
    "ERR_PLAN_CONFLICT",
    `must name a plugin of kind ${slot.kinds.join(" or ")}, got "${plugin.id}", which is a ${plugin.kind}`,
  );
}

function resolvePaths(
  options: Record<string, unknown>,
  entries: readonly OptionEntry[],
  folder: string,
): Record<string, unknown> {
  const resolved = { ...options };
  for (const { name, format } of entries) {
    const value = options[name];
    if (format === "path" && typeof value === "string" && !isAbsolute(value)) resolved[name] = resolve(folder, value);
  }
  return resolved;
}

function refuseProblems(
  document: ConfigDocument,
  definition: PluginDefinition,
  options: Readonly<Record<string, unknown>>,
  shape: ModelShape,
  optionsPath: ConfigPath,
): void {
  const problem = guardPlugin(definition.id, "check", () =>
    firstProblem(definition.check?.(deepFreeze(options) as never, shape)),
  );
  if (problem) throw document.fail([...optionsPath, ...problem.path], "ERR_PLAN_CONFLICT", problem.message);
}

/** A copy, so that nothing of the plugin is looked at later. */
function firstProblem(problems: readonly OptionProblem[] = []): OptionProblem | undefined {
  if (!Array.isArray(problems))
    throw new WinnowError("ERR_PLUGIN_RESULT", `check must return a list of problems, got ${typeof problems}.`);
  if (problems.length === 0) return undefined;
  const { path, message } = problems[0] ?? {};
  if (Array.isArray(path) && typeof message === "string") return { path: [...path], message };
  throw new WinnowError("ERR_PLUGIN_RESULT", "check must return problems of the form { path, message }.");
}

function provenanceOf(
  document: ConfigDocument,
  entry: OptionEntry,
  options: Readonly<Record<string, unknown>>,
  optionsPath: ConfigPath,
): ProvenanceEntry {
  const path = [...optionsPath, entry.name];
  const { origin, location } = document.originOf(path);
  return {
    path: path.join("."),
    value: options[entry.name],
    origin: origin === "default" ? "plugin default" : origin,
    ...(location && { location }),
  };
}
