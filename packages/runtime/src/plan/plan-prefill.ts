import { expandSelection, type ModelShape, type NumberSelection, type PluginKind } from "@winnow/core";
import type { ConfigDocument } from "../config/config.js";
import { type ConfigPath, valueAt } from "../config/path.js";

import type { PluginRegistry } from "../registry/registry.js";
import type { PlannedMasker } from "./plan.js";
import { choosePlugin, type PluginChoice, plannedInner } from "./plugin-choice.js";

const maskerKinds: readonly PluginKind[] = ["masker", "block-scorer"];

export interface PrefillPlan {
  readonly groups: readonly PlannedMasker[];
  readonly choices: readonly PluginChoice[];
}

/** A masker for each layer and head: the section's own, then the overrides in order; neighbouring heads with the same choice make one group. */
export async function planPrefill(
  document: ConfigDocument,
  registry: PluginRegistry,
  shape: ModelShape,
): Promise<PrefillPlan> {
  const { prefill } = document.value;
  const table: (PluginChoice | undefined)[][] = Array.from({ length: shape.layers }, () => new Array(shape.queryHeads));
  const choices: PluginChoice[] = [];
  const choose = async (path: ConfigPath, masker: string) => {
    if (masker === "dense") return refuseOptions(document, path, masker);
    const choice = await choosePlugin(document, registry, { path, key: "masker", kinds: maskerKinds }, shape);
    choices.push(choice);
    return choice;
  };
  const base = await choose(["prefill"], prefill.masker);
  for (const row of table) row.fill(base);
  for (const [index, override] of prefill.overrides.entries()) {
    const path = ["prefill", "overrides", index];
    const choice = await choose(path, override.masker);
    const layers = select(document, [...path, "layers"], override.layers, shape.layers, "layers");
    const heads = select(document, [...path, "heads"], override.heads, shape.queryHeads, "query heads");
    for (const layer of layers) for (const head of heads) table[layer][head] = choice;
  }
  return { groups: table.flatMap((row, layer) => groupHeads(row, layer)), choices };
}

function groupHeads(row: readonly (PluginChoice | undefined)[], layer: number): PlannedMasker[] {
  const groups: PlannedMasker[] = [];
  for (let start = 0, end = 1; start < row.length; start = end) {
    for (end = start + 1; end < row.length && row[end] === row[start]; ) end++;
    const choice = row[start];
    groups.push({
      layer,
      heads: { start, end },
      masker: choice?.plugin.id ?? "dense",
      options: choice?.options ?? {},
      ...plannedInner(choice),
    });
  }
  return groups;
}

/** Numbers of an override's selection; all of them where it has none. Errors name the model's limit. */
export function select(
  document: ConfigDocument,
  path: ConfigPath,
  selection: NumberSelection | undefined,
  limit: number,
  what: string,
): number[] {
  const { numbers, outside } = expandSelection(selection ?? `0-${limit - 1}`, limit);
  if (outside === undefined) return numbers;
  throw document.fail(
    path,
    "ERR_PLAN_CONFLICT",
    `must select ${what} in 0..${limit - 1}, first before last, got ${JSON.stringify(outside)}`,
  );
}

/** `dense` and `none` take no options; ones that were given would silently do nothing. */
export function refuseOptions(document: ConfigDocument, path: ConfigPath, name: string): undefined {
  const options = valueAt(document.value, [...path, "options"]) as Readonly<Record<string, unknown>>;
  const [option] = Object.keys(options);
  if (option === undefined) return undefined;
  const problem = `has no effect beside ${name}, which takes no options. Remove it, or name a plugin`;
  throw document.fail([...path, "options", option], "ERR_PLAN_CONFLICT", problem);
}
