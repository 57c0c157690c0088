import {
  type BlockScorer,
  type EvictScorer,
  type KvPruner,
  type Masker,
  type ModelShape,
  maskerFromBlockScorer,
  type PluginDefinition,
  type PluginKind,
  prunerFromEvictScorer,
  WinnowError,
} from "@winnow/core";
import type { Plan, PlannedMasker, PlannedPruner } from "../../plan/plan.js";
import { guardPlugin } from "../../registry/guard-plugin.js";
import { importPlugins } from "../../registry/load-plugin.js";

/** Plugins of a plan, made in this worker. */
export interface PlanPlugins {
  readonly definitions: ReadonlyMap<string, PluginDefinition>;
  /** Undefined for `dense`. */
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
  for (const planned of plan.prefill) {
    const key = keyOf(planned);
    if (planned.masker !== "dense" && !maskers.has(key)) maskers.set(key, makeMasker(definitions, planned, shape));
  }
  return {
    definitions,
    masker: (planned) => maskers.get(keyOf(planned)),
    pruners: plan.decode.map((planned) => ({ planned, pruner: makePruner(definitions, planned, shape) })),
  };
}

/** Heads and layers with the same masker and options share one object. */
function keyOf({ masker, options }: PlannedMasker): string {
  return JSON.stringify([masker, options]);
}

function makeMasker(
  definitions: ReadonlyMap<string, PluginDefinition>,
  planned: PlannedMasker,
  shape: ModelShape,
): Masker {
  const definition = definitionOf(definitions, planned.masker);
  const made = make(definition, planned.options, shape);
  return definition.kind === "block-scorer" ? maskerFromBlockScorer(made as BlockScorer) : (made as Masker);
}

function makePruner(
  definitions: ReadonlyMap<string, PluginDefinition>,
  planned: PlannedPruner,
  shape: ModelShape,
): KvPruner {
  const definition = definitionOf(definitions, planned.kvPruner);
  const made = make(definition, planned.options, shape);
  return definition.kind === "evict-scorer" ? prunerFromEvictScorer(made as EvictScorer) : (made as KvPruner);
}

/** Methods that an object of each kind must have; the others are optional. */
const requiredMethods: Readonly<Partial<Record<PluginKind, readonly string[]>>> = {
  masker: ["plan"],
  "block-scorer": ["score"],
  "kv-pruner": ["createState"],
  "evict-scorer": ["budget", "score"],
};

function make(definition: PluginDefinition, options: Readonly<Record<string, unknown>>, shape: ModelShape): unknown {
  const { id, kind } = definition;
  return guardPlugin(id, "create", () => {
    const made: unknown = definition.create(options, shape);
    for (const method of requiredMethods[kind] ?? []) {
      const given = (made as Record<string, unknown> | null | undefined)?.[method];
      if (typeof given !== "function")
        throw new WinnowError("ERR_PLUGIN_RESULT", `a ${kind} must have a method ${method}, got ${typeof given}.`);
    }
    return made;
  });
}

function definitionOf(definitions: ReadonlyMap<string, PluginDefinition>, id: string): PluginDefinition {
  const definition = definitions.get(id);
  if (!definition)
    throw new WinnowError("ERR_PLUGIN_UNKNOWN", `Cannot run plugin "${id}": the plan lists no module for it.`);
  return definition;
}
