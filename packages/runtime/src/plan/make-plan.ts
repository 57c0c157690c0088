import { availableParallelism } from "node:os";
import type { ConfigDocument } from "../config/config.js";
import type { PluginRegistry } from "../registry/registry.js";
import type { Plan, PlannedModel, PluginModule, ProvenanceEntry } from "./plan.js";
import { planDecode } from "./plan-decode.js";
import { planKernels } from "./plan-kernels.js";
import { planPrefill } from "./plan-prefill.js";
import type { PluginChoice } from "./plugin-choice.js";

/** Forms that a masker may return; a plan with one must have kernels for all of them. */
const allMaskForms = ["dense", "band", "blocks", "vertical-slash", "ranges"];

export interface PlanOptions {
  /** Plugins that workers load although the plan does not run them, e.g. to search their options. */
  readonly alsoLoad?: readonly string[];
}

/**
 * Decides everything that can be decided before weights are read. Impossible combinations are refused here, with the place in the configuration.
 */
export async function makePlan(
  document: ConfigDocument,
  model: PlannedModel,
  registry: PluginRegistry,
  { alsoLoad = [] }: PlanOptions = {},
): Promise<Plan> {
  const config = document.value;
  const prefill = await planPrefill(document, registry, model.shape);
  const decode = await planDecode(document, registry, model);
  const choices = [...prefill.choices, ...decode.choices];
  const isDense = prefill.choices.length === 0 && model.slidingWindow.every((window) => window === null);
  const kernelPlugins = kernelModules(registry);
  const needs = { precision: config.precision, maskForms: isDense ? ["dense"] : allMaskForms };
  const { kernels, fallbacks } = await planKernels(document, needs, kernelPlugins);
  const used = kernelPlugins.filter(({ id }) => Object.values(kernels.assignment).includes(id));
  return {
    model,
    precision: config.precision,
    workers: config.workers,
    threads:
      config.threads === "auto" ? Math.max(1, Math.floor(availableParallelism() / config.workers)) : config.threads,
    kernels,
    prefill: prefill.groups,
    decode: decode.pruners,
    plugins: modules([...choices.map(({ plugin }) => plugin.id), ...alsoLoad], registry, used),
    provenance: [...ownProvenance(document), ...choices.flatMap((choice: PluginChoice) => choice.provenance)],
    fallbacks,
  };
}

function kernelModules(registry: PluginRegistry): PluginModule[] {
  return registry
    .list()
    .filter(({ kind }) => kind === "kernel")
    .map(({ id, url, package: name, version }) => ({ id, url, package: name, version }));
}

function modules(ids: readonly string[], registry: PluginRegistry, kernels: readonly PluginModule[]): PluginModule[] {
  const found = [...new Set(ids)].flatMap((id) => registry.find(id) ?? []);
  return [...found.map(({ id, url, package: name, version }) => ({ id, url, package: name, version })), ...kernels];
}

/** Where the values of the pipeline itself come from; options of plugins are listed with their plugins. */
function ownProvenance(document: ConfigDocument): ProvenanceEntry[] {
  const config = document.value;
  const paths = [
    ["model"],
    ["precision"],
    ["workers"],
    ["threads"],
    ...Object.keys(config.kernels).map((key) => ["kernels", key]),
    ["prefill", "masker"],
    ...config.prefill.overrides.map((_, index) => ["prefill", "overrides", index, "masker"]),
    ["decode", "kvPruner"],
    ...config.decode.overrides.map((_, index) => ["decode", "overrides", index, "kvPruner"]),
  ];
  return paths.map((path) => {
    const { origin, location } = document.originOf(path);
    const value = path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown>)[key], config);
    return { path: path.join("."), value, origin, ...(location && { location }) };
  });
}
