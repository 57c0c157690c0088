import type { Fixture, FixtureRunner } from "@winnow/core";
import { type AllocationOptions, densities } from "./densities.js";

const allocations = { uniform: "uniform", ER: "er", ERK: "erk", "erk-llm": "erk" } as const;

/** Only the tables: positions depend on the generator. */
export const fixtures: FixtureRunner = {
  kinds: ["densities"],
  run({ params }: Fixture) {
    const { mode, shapes, densities: requested, power } = params as unknown as Params;
    const options: AllocationOptions = { allocation: allocations[mode], erkPowerScale: power ?? 1 };
    const dimensions = shapes.map(([, shape]) => shape);
    return { "out.density": requested.flatMap((density) => densities(dimensions, density, options)) };
  },
};

interface Params {
  readonly mode: keyof typeof allocations;
  readonly shapes: readonly (readonly [string, readonly number[]])[];
  readonly densities: readonly number[];
  readonly power?: number;
}
