import {
  type LinearFormat,
  type ModelShape,
  type NumberSelection,
  type PluginKind,
  type Projection,
  projections,
} from "@winnow/core";
import type { ConfigDocument } from "../config/config.js";
import type { ConfigPath } from "../config/path.js";
import type { PluginRegistry } from "../registry/registry.js";
import type { MatrixPlace, PlannedSparsifier, PlannedWeights } from "./plan.js";
import { select } from "./plan-prefill.js";
import { choosePlugin, type PluginChoice, plannedInner } from "./plugin-choice.js";

const sparsifierKinds: readonly PluginKind[] = ["weight-sparsifier", "weight-scorer"];

export interface WeightsPlan {
  readonly planned: PlannedWeights;
  readonly choices: readonly PluginChoice[];
}

/** What each entry of `weights` does to which matrices; an entry with overrides becomes several planned sparsifiers. */
export async function planWeights(
  document: ConfigDocument,
  registry: PluginRegistry,
  shape: ModelShape,
): Promise<WeightsPlan> {
  const { weights, calibration, weightFormat } = document.value;
  checkLength(document, shape);
  checkFormat(document);
  const choices: PluginChoice[] = [];
  const sparsifiers: PlannedSparsifier[] = [];
  for (const index of weights.keys()) {
    const entry = await planEntry(document, registry, shape, index);
    choices.push(...entry.choices);
    sparsifiers.push(...entry.sparsifiers);
  }
  return { planned: { sparsifiers, calibration, format: weightFormat }, choices };
}

/** Formats other than the dense ones that the planned sparsifiers and the configured format may give matrices. */
export function possibleFormats({ sparsifiers, format }: PlannedWeights): LinearFormat[] {
  const formats: LinearFormat[] = sparsifiers.length > 0 ? ["channels", "gated-rows"] : [];
  if (format === "bitmap" || format === "bitmap-int8") formats.push("bitmap");
  if (format === "groups") formats.push("groups");
  if (format === "int8") formats.push("int8-panel16");
  if (format === "auto" && sparsifiers.length > 0) formats.push("bitmap", "groups");
  return formats;
}

async function planEntry(document: ConfigDocument, registry: PluginRegistry, shape: ModelShape, index: number) {
  const entry = document.value.weights[index];
  const path = ["weights", index];
  const slot = { path, key: "sparsifier", kinds: sparsifierKinds } as const;
  const base = await choosePlugin(document, registry, slot, shape);
  const choices = [base];
  const table = new Map<string, PluginChoice>();
  for (const key of keysOf(document, path, entry, shape)) table.set(key, base);
  for (const [number, override] of entry.overrides.entries()) {
    const place = [...path, "overrides", number];
    const choice = await choosePlugin(document, registry, { ...slot, override: place }, shape);
    choices.push(choice);
    for (const key of keysOf(document, place, override, shape)) if (table.has(key)) table.set(key, choice);
  }
  for (const [number, skipped] of entry.skip.entries())
    for (const key of keysOf(document, [...path, "skip", number], skipped, shape)) table.delete(key);
  const sparsifiers = choices
    .map((choice) => ({
      sparsifier: choice.plugin.id,
      options: choice.options,
      ...plannedInner(choice),
      entry: index,
      matrices: allMatrices(shape).filter((matrix) => table.get(keyOf(matrix)) === choice),
    }))
    .filter(({ matrices }) => matrices.length > 0);
  return { choices, sparsifiers };
}

interface MatrixSelection {
  readonly layers?: NumberSelection;
  readonly projections?: readonly Projection[];
}

function keysOf(document: ConfigDocument, path: ConfigPath, selection: MatrixSelection, shape: ModelShape): string[] {
  const layers = select(document, [...path, "layers"], selection.layers, shape.layers, "layers");
  return layers.flatMap((layer) =>
    (selection.projections ?? projections).map((projection) => keyOf({ layer, projection })),
  );
}

function keyOf({ layer, projection }: MatrixPlace): string {
  return `${layer}.${projection}`;
}

function allMatrices({ layers }: ModelShape): MatrixPlace[] {
  return Array.from({ length: layers }, (_, layer) => projections.map((projection) => ({ layer, projection }))).flat();
}

function checkLength(document: ConfigDocument, { contextLength }: ModelShape): void {
  const { length } = document.value.calibration;
  if (document.value.weights.length === 0 || length <= contextLength) return;
  throw document.fail(
    ["calibration", "length"],
    "ERR_PLAN_CONFLICT",
    `must be at most ${contextLength}, the context of the model, got ${length}`,
  );
}

/** The formats but dense ones compute in bf16 or int8. */
function checkFormat(document: ConfigDocument): void {
  const { weightFormat, precision } = document.value;
  if (precision === "bf16" || weightFormat === "auto" || weightFormat === "dense") return;
  throw document.fail(
    ["weightFormat"],
    "ERR_PLAN_CONFLICT",
    `must be auto or dense with precision f32, got ${weightFormat}. Set precision: bf16 for compact formats`,
  );
}
