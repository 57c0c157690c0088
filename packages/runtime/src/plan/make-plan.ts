import { availableParallelism } from "node:os";
import type { ConfigDocument } from "../config/config.js";
import type { ConfigPath } from "../config/path.js";
import type { InstalledPlugin } from "../registry/manifest.js";
import type { PluginRegistry } from "../registry/registry.js";
import { atPlace } from "./at-place.js";
import type { Plan, PlannedModel, PluginModule, ProvenanceEntry } from "./plan.js";
import { planDecode } from "./plan-decode.js";
import { planKernels } from "./plan-kernels.js";
import { planPrefill } from "./plan-prefill.js";
import { planWeights, possibleFormats } from "./plan-weights.js";
import { type PluginChoice, pluginIds } from "./plugin-choice.js";

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
  await allowPlugins(document, registry);
  const prefill = await planPrefill(document, registry, model.shape);
  const decode = await planDecode(document, registry, model);
  const weights = await planWeights(document, registry, model.shape);
  const choices = [...prefill.choices, ...decode.choices, ...weights.choices];
  const maskers = prefill.groups.map(({ masker }) => masker).filter((masker) => masker !== "dense");
  const isDense = maskers.length === 0 && model.slidingWindow.every((window) => window === null);
  const kernelPlugins = registry.list().filter(({ kind }) => kind === "kernel");
  const { kernels, fallbacks } = await planKernels(
    document,
    {
      precision: config.precision,
      maskForms: isDense ? ["dense"] : allMaskForms,
      weightFormats: [...model.weightFormats, ...possibleFormats(weights.planned)],
    },
    {
      modules: kernelPlugins.map(moduleOf),
      listed: kernelPlugins.map(({ id }) => id).filter((id) => registry.isAllowed(id)),
      shape: model.shape,
    },
  );
  const usedKernels = kernelPlugins.map(({ id }) => id).filter((id) => Object.values(kernels.assignment).includes(id));
  for (const id of alsoLoad) await registry.load(id);
  const named = new Set([
    ...maskers,
    ...decode.pruners.map(({ kvPruner }) => kvPruner),
    ...weights.planned.sparsifiers.map(({ sparsifier }) => sparsifier),
  ]);
  const chosen = choices.filter(({ plugin }) => named.has(plugin.id)).flatMap(pluginIds);
  const used = [...chosen, ...usedKernels, ...alsoLoad];
  return {
    model,
    precision: config.precision,
    workers: config.workers,
    threads:
      config.threads === "auto" ? Math.max(1, Math.floor(availableParallelism() / config.workers)) : config.threads,
    kernels,
    prefill: prefill.groups,
    decode: decode.pruners,
    weights: weights.planned,
    plugins: [...new Set(used)].flatMap((id) => registry.find(id) ?? []).map(moduleOf),
    provenance: [...ownProvenance(document), ...choices.flatMap((choice: PluginChoice) => choice.provenance)],
    fallbacks,
  };
}

/** Plugins that the configuration adds to the installed ones. */
async function allowPlugins(document: ConfigDocument, registry: PluginRegistry): Promise<void> {
  for (const [index, reference] of document.value.plugins.entries()) {
    await atPlace(document, ["plugins", index], () => registry.allow(reference));
  }
}

function moduleOf({ id, url, package: name, version }: InstalledPlugin): PluginModule {
  return { id, url, package: name, version };
}

/** Where each value of the pipeline itself comes from; options of plugins are listed with their plugins. */
function ownProvenance(document: ConfigDocument): ProvenanceEntry[] {
  return leaves(document.value, []).map(({ path, value }) => {
    const { origin, location } = document.originOf(path);
    return { path: path.join("."), value, origin, ...(location && { location }) };
  });
}

interface Leaf {
  readonly path: ConfigPath;
  readonly value: unknown;
}

/** Values in order of the schema; a list of plain values counts as one. */
function leaves(value: unknown, path: ConfigPath): Leaf[] {
  const isList = Array.isArray(value) && value.every((item) => typeof item !== "object");
  if (typeof value !== "object" || value === null || isList) return [{ path, value }];
  return Object.entries(value)
    .filter(([key]) => key !== "options")
    .flatMap(([key, inner]) => leaves(inner, [...path, Array.isArray(value) ? Number(key) : key]));
}
