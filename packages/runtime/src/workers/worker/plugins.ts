import {
  type BlockScorer,
  type EvictScorer,
  type KvPruner,
  type Masker,
  type ModelShape,
  maskerFromBlockScorer,
  type PluginDefinition,
  prunerFromEvictScorer,
  WinnowError,
} from "@winnow/core";
import type { Plan, PlannedMasker, PlannedPruner } from "../../plan/plan.js";
import { guardPlugin } from "../../registry/guard-plugin.js";
import { importPlugins } from "../../registry/load-plugin.js";

/** Plugins of a plan, made in this worker. */
export interface PlanPlugins {
  readonly definitions: ReadonlyMap<string, PluginDefinition>;
  masker(planned: PlannedMasker): Masker | undefined;
  readonly pruners: readonly { readonly planned: PlannedPruner; readonly pruner: KvPruner }[];
}

export async function createPlanPlugins(plan: Plan): Promise<PlanPlugins> {
  const definitions = new Map<string, PluginDefinition>();
  for (const module of plan.plugins) {
    for (const definition of await importPlugins(module.url))
      if (definition.id === module.id) definitions.set(module.id, definition);
  }
  const shape = plan.model.shape;
  const maskers = new Map<string, Masker>();
  return {
    definitions,
    masker(planned) {
      if (planned.masker === "dense") return undefined;
      const key = JSON.stringify([planned.masker, planned.options]);
      const masker = maskers.get(key) ?? makeMasker(definitions, planned, shape);
      maskers.set(key, masker);
      return masker;
    },
    pruners: plan.decode.map((planned) => ({ planned, pruner: makePruner(definitions, planned, shape) })),
  };
}

function makeMasker(
  definitions: ReadonlyMap<string, PluginDefinition>,
  planned: PlannedMasker,
  shape: ModelShape,
): Masker {
  const definition = definitionOf(definitions, planned.masker);
  const made = guardPlugin(planned.masker, "create", () => definition.create(planned.options, shape));
  return definition.kind === "block-scorer" ? maskerFromBlockScorer(made as BlockScorer) : (made as Masker);
}

function makePruner(
  definitions: ReadonlyMap<string, PluginDefinition>,
  planned: PlannedPruner,
  shape: ModelShape,
): KvPruner {
  const definition = definitionOf(definitions, planned.kvPruner);
  const made = guardPlugin(planned.kvPruner, "create", () => definition.create(planned.options, shape));
  return definition.kind === "evict-scorer" ? prunerFromEvictScorer(made as EvictScorer) : (made as KvPruner);
}

function definitionOf(definitions: ReadonlyMap<string, PluginDefinition>, id: string): PluginDefinition {
  const definition = definitions.get(id);
  if (!definition)
    throw new WinnowError("ERR_PLUGIN_UNKNOWN", `Cannot run plugin "${id}": the plan lists no module for it.`);
  return definition;
}
