import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import {
  CONTRACT_VERSION,
  listOptions,
  type OptionEntry,
  type PluginDefinition,
  pluginKinds,
  WinnowError,
} from "@winnow/core";
import {
  checkPlugins,
  type InstalledPlugin,
  type PluginCheck,
  PluginRegistry,
  readManifest,
} from "@winnow/runtime/registry";
import type { ExitStatus } from "../context.js";
import { notice, print, printJson, table } from "../io.js";

interface JsonOption {
  readonly json?: boolean;
}

/** `winnow plugins list`: what is installed, from manifests alone. */
export async function listPluginsCommand({ json }: JsonOption): Promise<ExitStatus> {
  const registry = openRegistry();
  const plugins = registry.list();
  if (json) printJson(plugins);
  else
    print(
      table(
        ["id", "kind", "what it does", "package"],
        plugins.map((plugin) => [plugin.id, plugin.kind, plugin.summary, plugin.package]),
      ),
    );
  for (const { error } of registry.broken()) notice(error.toString());
  return 0;
}

/** `winnow plugins show ID`: manifest, source and options of one plugin. */
export async function showPluginCommand(reference: string, { json }: JsonOption): Promise<ExitStatus> {
  const registry = openRegistry();
  const installed = await registry.resolve(reference, pluginKinds);
  const definition = await registry.load(installed.id);
  const options = listOptions(definition.options);
  if (json) printJson({ ...installed, contract: contractOf(installed), source: definition.source, options });
  else print(describe(installed, definition, options));
  return 0;
}

/** `winnow plugins check ID|PATH`: every problem of a plugin's package. Exit status 1 if there is one. */
export async function checkPluginCommand(reference: string, { json }: JsonOption): Promise<ExitStatus> {
  const checks = await checksOf(reference);
  const failed = checks.some(({ problems }) => problems.length > 0);
  if (json) printJson({ ok: !failed, plugins: checks });
  else print(checks.map(verdict).join("\n"));
  return failed ? 1 : 0;
}

/** The user types what is looked at, so any path may be. */
function openRegistry(): PluginRegistry {
  return new PluginRegistry({ folder: process.cwd(), anyPath: true });
}

async function checksOf(reference: string): Promise<PluginCheck[]> {
  try {
    const registry = openRegistry();
    const path = resolve(reference);
    const isFolder = existsSync(path) && statSync(path).isDirectory() && registry.find(reference) === undefined;
    if (isFolder) return checkFolder(path, reference);
    const { folder, contract, id, url } = await registry.resolve(reference, pluginKinds);
    // A package is looked at as a whole: what its modules export must be what it declares.
    const together = registry.list().filter((plugin) => plugin.folder === folder && (contract || plugin.url === url));
    const checks = await checkPlugins(together, contract !== undefined);
    return registry.find(reference) ? checks.filter((check) => check.id === id) : checks;
  } catch (error) {
    if (error instanceof WinnowError) return [{ id: reference, problems: [error.message], notes: [] }];
    throw error;
  }
}

function checkFolder(path: string, reference: string): Promise<PluginCheck[]> | PluginCheck[] {
  const declared = readManifest(path);
  if (declared.length > 0) return checkPlugins(declared, true);
  return [{ id: reference, problems: [`"${path}" has no package.json with a "winnow" entry`], notes: [] }];
}

function verdict({ id, problems, notes }: PluginCheck): string {
  const lines = [...problems.map((problem) => `  problem: ${problem}`), ...notes.map((note) => `  note: ${note}`)];
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return [`${id}: ${problems.length === 0 ? "nothing wrong" : count}`, ...lines].join("\n");
}

function contractOf({ contract }: InstalledPlugin): string {
  return contract === undefined ? "not declared" : `${contract}`;
}

function describe(installed: InstalledPlugin, definition: PluginDefinition, options: readonly OptionEntry[]): string {
  const { id, kind, summary, package: name, version, folder } = installed;
  const { source } = definition;
  const published = [source.title, source.authors, source.year, source.url].filter((part) => part !== undefined);
  const rows: [string, string | undefined][] = [
    ["", summary],
    ["kind", kind],
    ["package", `${name} ${version}`],
    ["installed in", folder],
    ["contract", `${contractOf(installed)}; this Winnow: ${CONTRACT_VERSION}`],
    ["source", published.join(", ")],
    ["reference", source.reference],
  ];
  const facts = rows.flatMap(([label, value]) =>
    value === undefined ? [] : [`${label.padEnd(14)}${value}`.trimStart()],
  );
  return [id, ...facts, "", options.length > 0 ? optionsTable(options, definition) : "no options"].join("\n");
}

function optionsTable(options: readonly OptionEntry[], definition: PluginDefinition): string {
  const cell = (value: unknown) =>
    value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  return table(
    ["option", "type", "default", "unit", "symbol", "source", "description"],
    options.map((option) => [
      option.name,
      option.type,
      "default" in option ? cell(option.default) : isRequired(definition, option.name) ? "required" : "not set",
      cell(option.unit),
      cell(option.symbol),
      cell(option.source),
      option.description,
    ]),
  );
}

function isRequired({ options }: PluginDefinition, name: string): boolean {
  return !(options.shape[name] as { safeParse(value: unknown): { success: boolean } }).safeParse(undefined).success;
}
