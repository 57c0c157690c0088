import {
  type ErrorCode,
  type ModelShape,
  type OptionFile,
  projections,
  readOptionFile,
  WinnowError,
} from "@winnow/core";
import type { Setting } from "./budget.js";

const file: OptionFile = { option: "table", expected: "a file of winnow tune r-sparse", maxBytes: 16 * 2 ** 20 };

/** The reference's format: ratio and sparsity of each matrix, one number a line, in order of layers and projections. */
export function formatTable(settings: readonly Setting[]): string {
  return settings.map(({ ratio, sparsity }) => `${ratio}\n${sparsity}\n`).join("");
}

/**
 * Settings of all matrices in order of layers and projections, from a file of numbers with any white space between. Throws `ERR_CONFIG_FILE` (unreadable),
 * `ERR_CONFIG_SYNTAX` (not numbers), `ERR_OPTION_RANGE` (a number outside 0..1), or `ERR_PLAN_CONFLICT` (not two numbers for each matrix), with the line.
 */
export function readTable(path: string, model: ModelShape): Setting[] {
  return parseTable(readOptionFile(path, file), path, model.layers);
}

export function parseTable(text: string, path: string, layers: number): Setting[] {
  const expected = 2 * layers * projections.length;
  const lines = text.trimEnd().split("\n");
  const numbers: number[] = [];
  for (const [index, line] of lines.entries()) {
    for (const word of line.split(/\s+/).filter(Boolean)) {
      const value = Number(word);
      const name = `${numbers.length % 2 === 0 ? "ratio" : "sparsity"} of ${nameOf(numbers.length >> 1)}`;
      if (Number.isNaN(value))
        throw failure("ERR_CONFIG_SYNTAX", path, index + 1, `${name} must be a number, got ${JSON.stringify(word)}`);
      if (!(value >= 0 && value <= 1))
        throw failure("ERR_OPTION_RANGE", path, index + 1, `${name} must be in 0..1, got ${word}`);
      numbers.push(value);
      if (numbers.length > expected)
        throw failure("ERR_PLAN_CONFLICT", path, index + 1, `must not hold more than ${wanted(layers)}`);
    }
  }
  if (numbers.length < expected) {
    const problem = `ends the file after ${numbers.length} numbers, expected ${wanted(layers)}`;
    throw failure("ERR_PLAN_CONFLICT", path, lines.length, problem);
  }
  return Array.from({ length: expected / 2 }, (_, m) => ({ ratio: numbers[2 * m], sparsity: numbers[2 * m + 1] }));
}

function wanted(layers: number): string {
  return `${2 * layers * projections.length} numbers, ratio and sparsity of ${projections.length} matrices in each of ${layers} layers`;
}

function nameOf(matrix: number): string {
  return `${projections[matrix % projections.length]} of layer ${Math.floor(matrix / projections.length)}`;
}

function failure(code: ErrorCode, path: string, line: number, problem: string): WinnowError {
  const message = `Cannot use table ${path}: line ${line} ${problem}. Run winnow tune r-sparse to write one.`;
  return new WinnowError(code, message, { location: { file: path, line, column: 1 } });
}
