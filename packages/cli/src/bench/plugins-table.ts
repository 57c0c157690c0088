import type { PluginsBench } from "@winnow/evaluate/bench";
import { table } from "../table.js";
import { duration, met, spread } from "./format.js";
import { LEGEND, machine } from "./tables.js";

export function pluginsTable({ process, rows, targets, conditions }: PluginsBench): string {
  const { node, list, listOverNode } = process;
  const processes = [
    ["node -e 0", spread(node, duration), ""],
    ["winnow plugins list", spread(list, duration), verdict(list.median, targets.list)],
    ["  longer than node -e 0", spread(listOverNode, duration), ""],
  ];
  const loads = rows.map(({ id, kind, loadMs, notCreated }) => [
    id,
    kind,
    spread(loadMs, duration),
    verdict(loadMs.median, targets.load),
    notCreated === undefined ? "" : `loaded only: ${notCreated}`,
  ]);
  return [
    table(["process", "time", `target ${duration(targets.list)}`], processes),
    table(["plugin", "kind", "time in a fresh worker", `target ${duration(targets.load)}`, ""], loads),
    `A worker that has loaded the contracts imports the plugin and makes it with default options. ${LEGEND}`,
    `${machine(conditions)}.`,
  ].join("\n");
}

function verdict(milliseconds: number, target: number): string {
  return met(milliseconds <= target);
}
