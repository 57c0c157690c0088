import type { KvPruner, Masker, PluginDefinition } from "@winnow/core";
import type { Plan, PlannedMasker, PlannedPruner } from "../../plan/plan.js";
import { importPlugins } from "../../registry/load-plugin.js";
import { PluginFactory } from "./inner-plugins.js";
import { PrunerRecords } from "./pruner-records.js";
import { MaskRecords } from "./recorded-masker.js";

export interface PlannedMaskerObject {
  readonly masker: Masker;
  /** What maskers inside it returned. */
  readonly inner: MaskRecords;
}

export interface PlannedPrunerObject {
  readonly planned: PlannedPruner;
  readonly pruner: KvPruner;
  /** What pruners inside it decided. */
  readonly inner: PrunerRecords;
}

/** Plugins of a plan, made in this worker. */
export interface PlanPlugins {
  readonly definitions: ReadonlyMap<string, PluginDefinition>;
  /** Undefined for `dense`. */
  masker(planned: PlannedMasker): PlannedMaskerObject | undefined;
  readonly pruners: readonly PlannedPrunerObject[];
}

export async function createPlanPlugins(plan: Plan): Promise<PlanPlugins> {
  const definitions = await loadDefinitions(plan);
  const factory = new PluginFactory(definitions, plan.model.shape);
  const maskers = new Map<string, PlannedMaskerObject>();
  for (const planned of plan.prefill) {
    const key = keyOf(planned);
    if (planned.masker === "dense" || maskers.has(key)) continue;
    const inner = new MaskRecords();
    maskers.set(key, { masker: factory.masker({ plugin: planned.masker, options: planned.options }, inner), inner });
  }
  return {
    definitions,
    masker: (planned) => maskers.get(keyOf(planned)),
    pruners: plan.decode.map((planned) => {
      const inner = new PrunerRecords();
      return {
        planned,
        pruner: factory.kvPruner({ plugin: planned.kvPruner, options: planned.options }, inner),
        inner,
      };
    }),
  };
}

/** Imports the modules that a plan lists. */
export async function loadDefinitions(plan: Plan): Promise<Map<string, PluginDefinition>> {
  const definitions = new Map<string, PluginDefinition>();
  for (const module of plan.plugins) {
    for (const definition of await importPlugins(module.url, module.id))
      if (definition.id === module.id) definitions.set(module.id, definition);
  }
  return definitions;
}

/** Heads and layers with the same masker and options share one object. */
function keyOf({ masker, options }: PlannedMasker): string {
  return JSON.stringify([masker, options]);
}
