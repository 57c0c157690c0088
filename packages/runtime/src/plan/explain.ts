import { projections } from "@winnow/core";
import { nestedName } from "./nested-name.js";
import type { Plan, PlannedMasker, ProvenanceEntry } from "./plan.js";

/** A plan as text: what runs in which layers and heads, on which kernels, and where every value came from. Same plan, same text. */
export function explainPlan(plan: Plan): string {
  const { shape } = plan.model;
  return [
    `model       ${plan.model.folder}`,
    `            ${plan.model.architecture}: ${shape.layers} layers, ${shape.queryHeads} query / ${shape.kvHeads} KV heads of ${shape.headDim}, context ${shape.contextLength}`,
    `precision   ${plan.precision} (projections, attention, KV cache)`,
    `workers     ${plan.workers}, each with ${plan.threads} thread${plan.threads === 1 ? "" : "s"} inside an operation`,
    `kernels     ${kernelLines(plan).join("\n            ")}`,
    `prefill     ${prefillLines(plan).join("\n            ")}`,
    `decode      ${decodeLines(plan).join("\n            ")}`,
    ...(plan.weights.sparsifiers.length > 0 ? [`weights     ${weightLines(plan).join("\n            ")}`] : []),
    ...(plan.plugins.length > 0
      ? [`plugins     ${plan.plugins.map(({ id, package: name, version }) => `${id} (${name} ${version})`).join(", ")}`]
      : []),
    ...plan.fallbacks.map(
      ({ operation, used, wanted, reason }) => `fallback    ${operation} on ${used} instead of ${wanted}: ${reason}`,
    ),
    "",
    "values",
    ...table(
      plan.provenance.map(({ path, value, ...origin }) => [
        path,
        JSON.stringify(value) ?? "not set",
        describeOrigin(origin),
      ]),
    ),
  ].join("\n");
}

function kernelLines(plan: Plan): string[] {
  const byPackage = new Map<string, string[]>();
  for (const [operation, id] of Object.entries(plan.kernels.assignment))
    byPackage.set(id, [...(byPackage.get(id) ?? []), operation]);
  return [...byPackage]
    .map(([id, operations]) => `${id}: ${operations.join(", ")}`)
    .concat(`instruction set: ${plan.kernels.isa}`, ...notChosenLines(plan));
}

/** One line per package that could have been chosen: `not onnx: linear (why), prefillAttention (why)`. */
function notChosenLines({ kernels: { notChosen } }: Plan): string[] {
  return [...new Set(notChosen.map(({ id }) => id))].map((id) => {
    const ofPackage = notChosen.filter((entry) => entry.id === id);
    const groups = [...new Set(ofPackage.map(({ reason }) => reason))].map((reason) => {
      const operations = ofPackage.filter((entry) => entry.reason === reason).map(({ operation }) => operation);
      return `${operations.join(", ")} (${reason})`;
    });
    return `not ${id}: ${groups.join("; ")}`;
  });
}

function prefillLines(plan: Plan): string[] {
  const lines: { layers: number[]; groups: PlannedMasker[] }[] = [];
  for (let layer = 0; layer < plan.model.shape.layers; layer++) {
    const groups = plan.prefill.filter((group) => group.layer === layer);
    const last = lines.at(-1);
    if (last && sameGroups(last.groups, groups)) last.layers.push(layer);
    else lines.push({ layers: [layer], groups });
  }
  return lines.flatMap(({ layers, groups }) =>
    groups.map((group) => {
      const whole = group.heads.start === 0 && group.heads.end === plan.model.shape.queryHeads;
      return `layers ${range(layers[0], layers.at(-1)!)}${whole ? "" : `, heads ${range(group.heads.start, group.heads.end - 1)}`}: ${nestedName(group.masker, group.inner)}`;
    }),
  );
}

function sameGroups(a: readonly PlannedMasker[], b: readonly PlannedMasker[]): boolean {
  const key = (groups: readonly PlannedMasker[]) =>
    JSON.stringify(groups.map(({ heads, masker, options }) => [heads, masker, options]));
  return key(a) === key(b);
}

function decodeLines(plan: Plan): string[] {
  const planned = plan.decode.map(
    ({ layers, kvPruner, inner }) => `layers ${ranges(layers)}: ${nestedName(kvPruner, inner)}`,
  );
  const rest = plan.decode.reduce((count, { layers }) => count - layers.length, plan.model.shape.layers);
  return rest > 0 ? [...planned, `${planned.length > 0 ? "other" : "all"} layers: full cache`] : planned;
}

function weightLines(plan: Plan): string[] {
  const { sparsifiers, format } = plan.weights;
  const all = plan.model.shape.layers * projections.length;
  return sparsifiers
    .map(({ sparsifier, inner, matrices }) => {
      const layers = ranges([...new Set(matrices.map(({ layer }) => layer))]);
      const names = projections.filter((name) => matrices.some(({ projection }) => projection === name));
      return `${nestedName(sparsifier, inner)}: ${matrices.length === all ? "all matrices" : `${matrices.length} of ${all} matrices, layers ${layers}: ${names.join(", ")}`}`;
    })
    .concat(`format in memory: ${format}`);
}

/** Ascending numbers with runs joined: `0-2, 5`. */
function ranges(numbers: readonly number[]): string {
  const starts = numbers.filter((n, index) => n !== numbers[index - 1] + 1);
  const ends = numbers.filter((n, index) => n !== numbers[index + 1] - 1);
  return starts.map((first, index) => range(first, ends[index])).join(", ");
}

function range(first: number, last: number): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

function describeOrigin({ origin, location }: Omit<ProvenanceEntry, "path" | "value">): string {
  return location
    ? `${location.file}:${location.line}:${location.column}`
    : ({ set: "--set", yaml: "configuration", code: "program" }[origin as string] ?? origin);
}

/** Options that hold plugins are long; they do not push the columns of all others apart. */
const WIDEST_COLUMN = 60;

function table(rows: readonly string[][]): string[] {
  const widths = rows.reduce<number[]>(
    (most, row) => row.map((cell, column) => Math.max(most[column] ?? 0, Math.min(cell.length, WIDEST_COLUMN))),
    [],
  );
  return rows.map(
    (row) =>
      `  ${row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd()}`,
  );
}
