import { type Comparison, compareElements } from "@winnow/core";
import type { FixtureReport } from "./verdict.js";

export interface Compared {
  readonly name: string;
  readonly actual: ArrayLike<number> | undefined;
  readonly expected: ArrayLike<number>;
  readonly rule: Comparison;
}

/** One report of several tensors: passes if all do; an output that is missing counts as a difference. */
export function reportComparisons(fixture: string, list: readonly Compared[]): FixtureReport {
  let worst = 0;
  const details: string[] = [];
  for (const { name, actual, expected, rule } of list) {
    if (!actual) {
      details.push(`${name} was not produced`);
      continue;
    }
    if (actual.length !== expected.length) {
      details.push(`${name} has ${actual.length} elements, expected ${expected.length}`);
      continue;
    }
    const result = compareElements(actual, expected, rule);
    worst = Math.max(worst, result.worst);
    if (result.passed || !result.first) continue;
    const { index, actual: got, expected: wanted, bound } = result.first;
    details.push(
      `${name}[${index}] is ${got}, expected ${wanted} within ${bound} (${result.misses} of ${expected.length} differ)`,
    );
  }
  return {
    fixture,
    verdict: details.length > 0 ? "differ" : "pass",
    compared: list.map(({ name }) => name).join(" "),
    worst,
    ...(details.length > 0 && { detail: details.join("; ") }),
  };
}
