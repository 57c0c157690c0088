import {
  type ErrorCode,
  type ModelShape,
  type OptionFile,
  type Projection,
  projections,
  readOptionFile,
  WinnowError,
} from "@winnow/core";
import type { GreedyStep } from "./greedy.js";

/** Steps of the search of each layer, sparsity ascending. One table serves every level of sparsity. */
export type Table = readonly (readonly GreedyStep[])[];

const columns = ["layer", "sparsity", "error", "uniformError", ...projections];
const file: OptionFile = { option: "table", expected: "a file of winnow tune teal", maxBytes: 64 * 2 ** 20 };

/** CSV: a header, then one line for each step of each layer. */
export function formatTable(table: Table): string {
  const lines = table.flatMap((steps, layer) =>
    steps.map(({ sparsity, error, uniformError, shares }) =>
      [layer, ...[sparsity, error, uniformError, ...shares].map((value) => Number(value.toPrecision(9)))].join(","),
    ),
  );
  return `${[columns.join(","), ...lines].join("\n")}\n`;
}

/**
 * Reads what {@link formatTable} wrote. Throws `ERR_CONFIG_FILE` (unreadable), `ERR_CONFIG_SYNTAX` (not such a table), `ERR_OPTION_RANGE` (a number outside
 * its range), both with the line, or `ERR_PLAN_CONFLICT` (other layers than the model's).
 */
export function readTable(path: string, model: ModelShape): Table {
  return parseTable(readOptionFile(path, file), path, model.layers);
}

export function parseTable(text: string, path: string, layers: number): Table {
  const [header, ...lines] = text.split(/\r?\n/);
  if (header !== columns.join(","))
    throw failure("ERR_CONFIG_SYNTAX", path, 1, `must be ${columns.join(",")}, got ${JSON.stringify(header)}`);
  const table: GreedyStep[][] = Array.from({ length: layers }, () => []);
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const [layer, step] = parseLine(line, path, index + 2);
    if (layer >= layers)
      throw failure("ERR_PLAN_CONFLICT", path, index + 2, `names layer ${layer}, the model has ${layers} layers`);
    const before = table[layer].at(-1)?.sparsity ?? 0;
    if (step.sparsity < before)
      throw failure("ERR_OPTION_RANGE", path, index + 2, `must not fall below the sparsity before it (${before})`);
    table[layer].push(step);
  }
  const missing = table.findIndex((steps) => steps.length === 0);
  if (missing < 0) return table;
  throw new WinnowError(
    "ERR_PLAN_CONFLICT",
    `Cannot use table ${path}: layer ${missing} has no line, the model has ${layers} layers. Run winnow tune teal for this model.`,
  );
}

function parseLine(line: string, path: string, number: number): [layer: number, step: GreedyStep] {
  const cells = line.split(",");
  if (cells.length !== columns.length)
    throw failure("ERR_CONFIG_SYNTAX", path, number, `must hold ${columns.length} numbers, got ${cells.length}`);
  const values = cells.map((cell, c) => {
    const value = cell.trim() === "" ? Number.NaN : Number(cell);
    if (!Number.isFinite(value))
      throw failure("ERR_CONFIG_SYNTAX", path, number, `${columns[c]} must be a number, got ${JSON.stringify(cell)}`);
    if (value < 0) throw failure("ERR_OPTION_RANGE", path, number, `${columns[c]} must be at least 0, got ${value}`);
    return value;
  });
  const [layer, sparsity, error, uniformError, ...shares] = values;
  if (!Number.isInteger(layer))
    throw failure("ERR_OPTION_RANGE", path, number, `layer must be a whole number, got ${layer}`);
  return [layer, { sparsity, error, uniformError, shares }];
}

/** Throws `ERR_PLAN_CONFLICT` where some layer's search ended before `sparsity`. */
export function requireLevel(table: Table, sparsity: number, path: string): void {
  const short = table.findIndex((steps) => steps.at(-1)!.sparsity < sparsity - 1e-6);
  if (short < 0) return;
  throw new WinnowError(
    "ERR_PLAN_CONFLICT",
    `Cannot use table ${path}: sparsity must be at most ${table[short].at(-1)!.sparsity}, where layer ${short} ends, got ${sparsity}. ` +
      "Lower sparsity or run winnow tune teal with a higher targetSparsity.",
  );
}

/** Share of a matrix in the step of its layer whose sparsity is closest to the wanted one; the earlier of two as close. Before the first step all is dense. */
export function shareAt(table: Table, layer: number, projection: Projection, sparsity: number): number {
  return stepAt(table[layer], sparsity)?.shares[projections.indexOf(projection)] ?? 0;
}

export function stepAt(steps: readonly GreedyStep[], sparsity: number): GreedyStep | undefined {
  let distance = sparsity;
  let closest: GreedyStep | undefined;
  for (const step of steps) {
    if (Math.abs(step.sparsity - sparsity) >= distance) continue;
    distance = Math.abs(step.sparsity - sparsity);
    closest = step;
  }
  return closest;
}

function failure(code: ErrorCode, path: string, line: number, problem: string): WinnowError {
  return new WinnowError(
    code,
    `Cannot use table ${path}: line ${line} ${problem}. Run winnow tune teal to write one.`,
    {
      location: { file: path, line, column: 1 },
    },
  );
}
