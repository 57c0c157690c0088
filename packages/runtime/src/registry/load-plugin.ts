import { fileURLToPath } from "node:url";
import { definePlugin, type PluginDefinition, WinnowError } from "@winnow/core";
import { enterCall, leaveCall } from "./plugin-calls.js";

/**
 * Plugins that a module default-exports: one definition or a list. `plugin`, by default the module's path, is who is to blame for a module that does not
 * end. Imports of one thread must not overlap. Throws `ERR_PLUGIN_INVALID` with the import's own error as cause, `ERR_PLUGIN_DUPLICATE` for a list that
 * holds one id twice.
 */
export async function importPlugins(url: string, plugin = fileURLToPath(url)): Promise<readonly PluginDefinition[]> {
  enterCall(plugin, "import");
  try {
    return await definitionsOf(url);
  } finally {
    leaveCall();
  }
}

async function definitionsOf(url: string): Promise<readonly PluginDefinition[]> {
  const path = fileURLToPath(url);
  const { default: exported } = await importModule(url, path);
  const definitions = (Array.isArray(exported) ? exported : [exported]).map((value) => definitionOf(value, path));
  if (definitions.length === 0) throw notAPlugin(path);
  const ids = definitions.map(({ id }) => id);
  const repeated = ids.find((id, index) => ids.indexOf(id) < index);
  if (repeated === undefined) return definitions;
  throw new WinnowError(
    "ERR_PLUGIN_DUPLICATE",
    `Module "${path}" exports two plugins called "${repeated}". Rename one.`,
  );
}

/** Throws `ERR_PLUGIN_INVALID` with what the import threw. */
export async function importModule(url: string, path: string): Promise<{ default?: unknown }> {
  try {
    return await import(url);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    if ((error as NodeJS.ErrnoException | null)?.code === "ERR_UNKNOWN_FILE_EXTENSION" && isTypeScript(path))
      throw cannotStripTypes(path, error);
    throw new WinnowError(
      "ERR_PLUGIN_INVALID",
      `Cannot load the plugin module "${path}": ${detail}. Build or reinstall its package.`,
      { cause: error },
    );
  }
}

function isTypeScript(path: string): boolean {
  return /\.[mc]?ts$/.test(path);
}

function cannotStripTypes(path: string, cause: unknown): WinnowError {
  return new WinnowError(
    "ERR_PLUGIN_INVALID",
    `Cannot load the plugin module "${path}": Node.js ${process.versions.node} does not run TypeScript. Compile it to JavaScript (tsc) and name the .js file, or use Node.js 22.18 or newer.`,
    { cause },
  );
}

/** A module may export plain objects that `definePlugin` never saw. */
function definitionOf(value: unknown, path: string): PluginDefinition {
  const definition = value as PluginDefinition | null | undefined;
  if (typeof definition?.id !== "string" || typeof definition.options?.shape !== "object") throw notAPlugin(path);
  try {
    return definePlugin(definition);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new WinnowError("ERR_PLUGIN_INVALID", `Cannot use the plugin module "${path}": ${detail}`, { cause: error });
  }
}

function notAPlugin(path: string): WinnowError {
  return new WinnowError(
    "ERR_PLUGIN_INVALID",
    `Cannot use the plugin module "${path}": it must default-export what definePlugin returns, or a list of such. Add the export.`,
  );
}
