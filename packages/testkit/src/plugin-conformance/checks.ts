import type { PluginDefinition, PluginKind } from "@winnow/core";
import type { ConformanceCheck } from "./check.js";
import { definitionChecks } from "./definition-checks.js";
import { Maker } from "./make.js";
import type { ConformanceSubject } from "./subject.js";

const checksOfKind: Partial<Record<PluginKind, (maker: Maker) => ConformanceCheck[]>> = {};

/**
 * The rules that a plugin of this kind must keep, each as a check that runs on its own: those for all plugins, then those of the kind. Needs no test runner.
 * Throws nothing itself; a plugin that cannot be made fails its checks.
 */
export function conformanceChecks<Kind extends PluginKind>(
  definition: PluginDefinition<Kind>,
  subject: ConformanceSubject<Kind> = {},
): ConformanceCheck[] {
  const maker = new Maker(definition as unknown as PluginDefinition, subject as ConformanceSubject);
  return [...definitionChecks(maker), ...(checksOfKind[definition.kind]?.(maker) ?? [])];
}
