import type { ExitStatus } from "../context.js";
import { notice, print, printJson } from "../io.js";
import { table } from "../table.js";
import { openRegistry } from "./open-registry.js";

/** `winnow plugins list`: what is installed, from manifests alone. */
export async function listPluginsCommand({ json }: { readonly json?: boolean }): Promise<ExitStatus> {
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
