/** How one tensor of a fixture is compared: `close` means |actual - expected| <= atol + rtol * |expected|; `mostly` asks that of a share of the elements. */
export type Comparison =
  | { readonly mode: "exact" }
  | { readonly mode: "close"; readonly atol: number; readonly rtol: number }
  | { readonly mode: "mostly"; readonly atol: number; readonly rtol: number; readonly share: number };

export interface ComparisonResult {
  readonly passed: boolean;
  /** Largest |actual - expected|; Infinity where one is not finite and the other differs. */
  readonly worst: number;
  /** Elements outside the bound, and how many may be. */
  readonly misses: number;
  readonly allowed: number;
  /** The first element outside the bound. */
  readonly first?: {
    readonly index: number;
    readonly actual: number;
    readonly expected: number;
    readonly bound: number;
  };
}

/** Element by element; equal infinities and two NaN count as equal. Lengths must agree, else it fails with every element a miss. */
export function compareElements(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  comparison: Comparison,
): ComparisonResult {
  if (actual.length !== expected.length) return { passed: false, worst: Infinity, misses: expected.length, allowed: 0 };
  const { atol, rtol } = comparison.mode === "exact" ? { atol: 0, rtol: 0 } : comparison;
  let misses = 0;
  let worst = 0;
  let first: ComparisonResult["first"];
  for (let index = 0; index < expected.length; index++) {
    if (isSame(actual[index], expected[index])) continue;
    const difference = Math.abs(actual[index] - expected[index]);
    const bound = atol + rtol * Math.abs(expected[index]);
    worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
    if (difference <= bound && bound !== Infinity) continue;
    misses++;
    first ??= { index, actual: actual[index], expected: expected[index], bound };
  }
  const allowed = comparison.mode === "mostly" ? Math.floor(expected.length * (1 - comparison.share)) : 0;
  return { passed: misses <= allowed, worst, misses, allowed, ...(first && { first }) };
}

function isSame(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
