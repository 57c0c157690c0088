// Imports types only, so that programs which read manifests load no schemas (`@winnow/core/manifest`).
import type { PluginKind } from "./plugin.js";

/** Version of the contracts in this package; a plugin's manifest names the one it was written for. */
export const CONTRACT_VERSION = 1;

export const pluginKinds: readonly PluginKind[] = [
  "masker",
  "block-scorer",
  "kv-pruner",
  "evict-scorer",
  "element-scorer",
  "weight-sparsifier",
  "weight-scorer",
  "kernel",
];

/** Ids that no plugin can have: they stand for no plugin in a configuration, or for kernel packages that need none. */
export const reservedPluginIds: readonly string[] = ["dense", "none", "auto", "native", "onnx", "reference"];

/** Whether an id is kebab-case, as ids of plugins must be: lower-case words and digits joined by single hyphens, a letter first. */
export function isPluginId(id: string): boolean {
  return /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(id);
}
