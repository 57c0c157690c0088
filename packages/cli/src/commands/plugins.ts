import { PluginRegistry } from "@winnow/runtime";
import type { ExitStatus } from "../context.js";
import { print, printJson, table } from "../io.js";

/** `winnow plugins list`: what is installed, from manifests alone. */
export async function listPluginsCommand(options: { readonly json?: boolean }): Promise<ExitStatus> {
  const plugins = new PluginRegistry({ folder: process.cwd() }).list();
  if (options.json) printJson(plugins);
  else
    print(
      table(
        ["id", "kind", "what it does", "package"],
        plugins.map((plugin) => [plugin.id, plugin.kind, plugin.summary, plugin.package]),
      ),
    );
  return 0;
}
