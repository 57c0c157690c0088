import type { PluginKind } from "@winnow/core";
import type { ConfigDocument } from "../config/config.js";
import type { PluginRegistry } from "../registry/registry.js";
import type { PlannedModel, PlannedPruner } from "./plan.js";
import { refuseOptions, select } from "./plan-prefill.js";
import { choosePlugin, type PluginChoice } from "./plugin-choice.js";

const prunerKinds: readonly PluginKind[] = ["kv-pruner", "evict-scorer"];

export interface DecodePlan {
  readonly pruners: readonly PlannedPruner[];
  readonly choices: readonly PluginChoice[];
}

/**
 * A KV pruner for each layer: the section's own, then the overrides in order. Layers that are served by one entry must be neighbours,
 * because a pruner may hand state from layer to layer.
 */
export async function planDecode(
  document: ConfigDocument,
  registry: PluginRegistry,
  model: PlannedModel,
): Promise<DecodePlan> {
  const { decode } = document.value;
  const { shape } = model;
  const row: (PluginChoice | undefined)[] = new Array(shape.layers);
  const choices: PluginChoice[] = [];
  const choose = async (path: readonly (string | number)[], kvPruner: string) => {
    if (kvPruner === "none") return refuseOptions(document, path);
    refuseSlidingWindow(document, [...path, "kvPruner"], model);
    const choice = await choosePlugin(document, registry, { path, key: "kvPruner", kinds: prunerKinds }, shape);
    choices.push(choice);
    return choice;
  };
  row.fill(await choose(["decode"], decode.kvPruner));
  for (const [index, override] of decode.overrides.entries()) {
    const path = ["decode", "overrides", index];
    const choice = await choose(path, override.kvPruner);
    for (const layer of select(document, [...path, "layers"], override.layers, shape.layers, "layers"))
      row[layer] = choice;
  }
  return { pruners: groupLayers(row), choices };
}

/** After eviction a cache no longer holds the last tokens one after another, which a model's own window counts on. */
function refuseSlidingWindow(document: ConfigDocument, path: readonly (string | number)[], model: PlannedModel): void {
  if (model.slidingWindow.every((window) => window === null)) return;
  throw document.fail(
    path,
    "ERR_PLAN_CONFLICT",
    `must be none for this model: ${model.architecture} has sliding-window layers, which a KV pruner cannot serve`,
  );
}

function groupLayers(row: readonly (PluginChoice | undefined)[]): PlannedPruner[] {
  const groups: PlannedPruner[] = [];
  for (let start = 0, end = 1; start < row.length; start = end) {
    for (end = start + 1; end < row.length && row[end] === row[start]; ) end++;
    const choice = row[start];
    if (choice) groups.push({ layers: { start, end }, kvPruner: choice.plugin.id, options: choice.options });
  }
  return groups;
}
