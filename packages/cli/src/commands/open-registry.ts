import { PluginRegistry } from "@winnow/runtime/registry";

/** Plugins as the current folder sees them. The user types what is looked at, so any path may be. */
export function openRegistry(): PluginRegistry {
  return new PluginRegistry({ folder: process.cwd(), anyPath: true });
}
