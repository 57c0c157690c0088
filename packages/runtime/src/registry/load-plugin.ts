import { type PluginDefinition, WinnowError } from "@winnow/core";

/** Plugins that a module default-exports: one definition or a list. Throws `ERR_PLUGIN_INVALID` with the import's own error as cause. */
export async function importPlugins(url: string): Promise<readonly PluginDefinition[]> {
  let module: { default?: unknown };
  try {
    module = await import(url);
  } catch (error) {
    if (error instanceof WinnowError) throw error;
    throw new WinnowError(
      "ERR_PLUGIN_INVALID",
      `Cannot load the plugin module "${url}": ${(error as Error).message}. Build or reinstall its package.`,
      { cause: error },
    );
  }
  const exported = Array.isArray(module.default) ? module.default : [module.default];
  for (const definition of exported) {
    if (typeof (definition as PluginDefinition | undefined)?.create === "function") continue;
    throw new WinnowError(
      "ERR_PLUGIN_INVALID",
      `Module "${url}" must default-export what definePlugin returns, or a list of such.`,
    );
  }
  return exported as PluginDefinition[];
}
