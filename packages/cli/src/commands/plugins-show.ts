import { CONTRACT_VERSION, listOptions, type OptionEntry, type PluginDefinition, pluginKinds } from "@winnow/core";
import type { InstalledPlugin } from "@winnow/runtime/registry";
import type { ExitStatus } from "../context.js";
import { print, printJson } from "../io.js";
import { table } from "../table.js";
import { openRegistry } from "./open-registry.js";

/** `winnow plugins show ID`: manifest, source and options of one plugin. */
export async function showPluginCommand(reference: string, { json }: { readonly json?: boolean }): Promise<ExitStatus> {
  const registry = openRegistry();
  const installed = await registry.resolve(reference, pluginKinds);
  const definition = await registry.load(installed.id);
  const options = listOptions(definition.options);
  if (json) printJson({ ...installed, contract: contractOf(installed), source: definition.source, options });
  else print(describe(installed, definition, options));
  return 0;
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
