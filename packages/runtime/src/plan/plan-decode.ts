import type { PluginKind } from "@winnow/core";
import type { ConfigDocument } from "../config/config.js";
import type { ConfigPath } from "../config/path.js";
import type { PluginRegistry } from "../registry/registry.js";
import type { PlannedModel, PlannedPruner } from "./plan.js";
import { refuseOptions, select } from "./plan-prefill.js";
import { choosePlugin, type PluginChoice, plannedInner } from "./plugin-choice.js";

const prunerKinds: readonly PluginKind[] = ["kv-pruner", "evict-scorer", "element-scorer"];

export interface DecodePlan {
  readonly pruners: readonly PlannedPruner[];
  readonly choices: readonly PluginChoice[];
}

/**
 * A KV pruner for each layer: the section's own, then the overrides in order. One entry of the configuration is one pruner with one state,
 * also where an override takes layers out of its middle, because a pruner may hand state from layer to layer.
 */
export async function planDecode(
  document: ConfigDocument,
  registry: PluginRegistry,
  model: PlannedModel,
): Promise<DecodePlan> {
  const { decode } = document.value;
  const { layers } = model.shape;
  const choices: PluginChoice[] = [];
  const choose = async (path: ConfigPath, kvPruner: string) => {
    if (kvPruner === "none") return refuseOptions(document, path, kvPruner);
    refuseSlidingWindow(document, [...path, "kvPruner"], model);
    const slot = { path, key: "kvPruner", kinds: prunerKinds } as const;
    const choice = await choosePlugin(document, registry, slot, model.shape);
    choices.push(choice);
    return choice;
  };
  const row: (PluginChoice | undefined)[] = new Array(layers).fill(await choose(["decode"], decode.kvPruner));
  for (const [index, override] of decode.overrides.entries()) {
    const path = ["decode", "overrides", index];
    const choice = await choose(path, override.kvPruner);
    for (const layer of select(document, [...path, "layers"], override.layers, layers, "layers")) row[layer] = choice;
  }
  return {
    pruners: choices.map((choice) => prunerOf(choice, row)).filter((pruner) => pruner.layers.length > 0),
    choices,
  };
}

function prunerOf(choice: PluginChoice, row: readonly (PluginChoice | undefined)[]): PlannedPruner {
  const layers = [...row.keys()].filter((layer) => row[layer] === choice);
  return { layers, kvPruner: choice.plugin.id, options: choice.options, ...plannedInner(choice) };
}

/** After eviction a cache no longer holds the last tokens one after another, which a model's own window counts on. */
function refuseSlidingWindow(document: ConfigDocument, path: ConfigPath, model: PlannedModel): void {
  if (model.slidingWindow.every((window) => window === null)) return;
  throw document.fail(
    path,
    "ERR_PLAN_CONFLICT",
    `must be none for this model: ${model.architecture} has sliding-window layers, which a KV pruner cannot serve`,
  );
}
