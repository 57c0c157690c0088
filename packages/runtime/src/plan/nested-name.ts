import type { PlannedInner } from "./plan.js";

/** A plugin with those inside it, as text: `union-masks(minference, tri-shape)`. */
export function nestedName(plugin: string, inner: readonly PlannedInner[] = []): string {
  if (inner.length === 0) return plugin;
  return `${plugin}(${inner.map((part) => nestedName(part.plugin, part.inner)).join(", ")})`;
}
