import type { PluginDefinition, PluginKind } from "@winnow/core";
import { blockScorerChecks } from "./block-scorer-checks.js";
import type { ConformanceCheck } from "./check.js";
import { definitionChecks } from "./definition-checks.js";
import { kernelChecks } from "./kernel-checks.js";
import { Maker } from "./make.js";
import { maskerChecks } from "./masker-checks.js";
import { elementScorerChecks, evictScorerChecks, prunerChecks } from "./pruner-checks.js";
import { sparsifierChecks, weightScorerChecks } from "./sparsifier-checks.js";
import type { ConformanceSubject } from "./subject.js";

const checksOfKind: Record<PluginKind, (maker: Maker) => ConformanceCheck[]> = {
  masker: maskerChecks,
  "block-scorer": (maker) => [...blockScorerChecks(maker), ...maskerChecks(maker)],
  "kv-pruner": prunerChecks,
  "element-scorer": (maker) => [...elementScorerChecks(maker), ...prunerChecks(maker)],
  "evict-scorer": (maker) => [...evictScorerChecks(maker), ...prunerChecks(maker)],
  "weight-sparsifier": sparsifierChecks,
  "weight-scorer": (maker) => [...weightScorerChecks(maker), ...sparsifierChecks(maker)],
  kernel: kernelChecks,
};

/**
 * The rules that a plugin of this kind must keep, each as a check that runs on its own: those for all plugins, then those of the kind. Needs no test runner.
 * Throws nothing itself; a plugin that cannot be made fails its checks.
 */
export function conformanceChecks<Kind extends PluginKind>(
  definition: PluginDefinition<Kind>,
  subject: ConformanceSubject<Kind> = {},
): ConformanceCheck[] {
  const maker = new Maker(definition as unknown as PluginDefinition, subject as ConformanceSubject);
  return [...definitionChecks(maker), ...checksOfKind[definition.kind](maker)];
}
