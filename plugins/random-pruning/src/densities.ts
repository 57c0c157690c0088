import { WinnowError } from "@winnow/core";
import type { RandomPruningOptions } from "./options.js";

export type AllocationOptions = Pick<RandomPruningOptions, "allocation" | "erkPowerScale">;

/**
 * Density of each tensor, so that `sum density_l * N_l = density * sum N_l`, N_l being its number of weights (arXiv 2202.02643, Section 3).
 *
 * `shapes`: dimensions, `[out, in]` for matrices. `er`: density_l = epsilon * ((n_0 + n_1) / (n_0 n_1))^power, by the first two dimensions;
 * `erk`: by all of them. Tensors that would exceed 1 become dense, those with the largest ratio first, and epsilon is solved again for the rest.
 * Throws `ERR_OPERATION_ARGUMENT` for an empty list, a tensor without weights, or a density outside 0..1.
 */
export function densities(
  shapes: readonly (readonly number[])[],
  density: number,
  { allocation, erkPowerScale }: AllocationOptions,
): number[] {
  const sizes = shapes.map(product);
  checkArguments(sizes, density);
  const ratios = shapes.map((shape) => ratioOf(allocation === "er" ? shape.slice(0, 2) : shape) ** erkPowerScale);
  if (allocation === "uniform" || density === 1 || ratios.every((ratio) => ratio === ratios[0])) {
    return shapes.map(() => density);
  }
  const dense = new Set<number>();
  while (dense.size < shapes.length) {
    const rest = shapes.map((_, l) => l).filter((l) => !dense.has(l));
    const epsilon = solve(sizes, ratios, rest, density);
    const largest = Math.max(...rest.map((l) => ratios[l]));
    if (epsilon * largest <= 1) return shapes.map((_, l) => (dense.has(l) ? 1 : epsilon * ratios[l]));
    for (const l of rest) if (ratios[l] === largest) dense.add(l);
  }
  return shapes.map(() => 1);
}

/** The epsilon that meets the budget with all but `rest` dense. */
function solve(sizes: readonly number[], ratios: readonly number[], rest: readonly number[], density: number): number {
  const total = sum(sizes);
  const open = sum(rest.map((l) => sizes[l]));
  return (density * open - (1 - density) * (total - open)) / sum(rest.map((l) => ratios[l] * sizes[l]));
}

function ratioOf(shape: readonly number[]): number {
  return sum(shape) / product(shape);
}

function checkArguments(sizes: readonly number[], density: number): void {
  const empty = sizes.findIndex((size) => !(size > 0));
  const problem =
    sizes.length === 0
      ? "there are no tensors"
      : empty >= 0
        ? `tensor ${empty} holds no weights`
        : density >= 0 && density <= 1
          ? undefined
          : `the density must be in 0..1, got ${density}`;
  if (problem) throw new WinnowError("ERR_OPERATION_ARGUMENT", `Cannot spread densities: ${problem}.`);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

function product(values: readonly number[]): number {
  return values.reduce((a, b) => a * b, 1);
}
