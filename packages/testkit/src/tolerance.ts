import type { FloatDtype } from "@winnow/core";
import { expect } from "vitest";

/** |actual - expected| <= atol + rtol * |expected|. */
export interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}

/** Half the distance from 1 to the next number of a type. */
export const unitRoundoff: Record<FloatDtype, number> = { f32: 2 ** -24, bf16: 2 ** -9 };

/**
 * Bound on the difference of two float32 sums of `length` products, whatever their order. `magnitude` is the sum of the products' absolute values.
 * Rounding errors grow as a random walk: 8 sqrt(length) u (Higham and Mary, SIAM J. Sci. Comput. 41(5), 2019), and never beyond length * u.
 * `bf16` adds one rounding of a factor to bf16 on either side; inputs that both sides round alike need only `f32`.
 */
export function dotTolerance(dtype: FloatDtype, length: number, magnitude: number): Tolerance {
  const growth = Math.min(length, 8 * Math.sqrt(length)) * unitRoundoff.f32;
  const factors = dtype === "bf16" ? 2 * unitRoundoff.bf16 : 0;
  return { atol: (growth + factors) * magnitude, rtol: 2 * unitRoundoff.f32 };
}

/**
 * Fails with place, expected, actual and bound of the worst element. Equal infinities are close; NaN never is.
 */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance): void {
  if (actual.length !== expected.length) expect.fail(`expected ${expected.length} elements, got ${actual.length}`);
  let worst = -1;
  let worstExcess = 0;
  for (let place = 0; place < expected.length; place++) {
    const excess = excessOf(actual[place], expected[place], tolerance);
    if (excess > worstExcess) {
      worst = place;
      worstExcess = excess;
    }
  }
  if (worst < 0) return;
  const difference = Math.abs(actual[worst] - expected[worst]);
  const bound = boundOf(expected[worst], tolerance);
  expect.fail(
    `element ${worst} of ${expected.length}: expected ${expected[worst]}, got ${actual[worst]}; they differ by ${difference}, the bound is ${bound}`,
  );
}

/** 0 for close values, else how many bounds they are apart. */
function excessOf(actual: number, expected: number, tolerance: Tolerance): number {
  if (actual === expected) return 0;
  const difference = Math.abs(actual - expected);
  const bound = boundOf(expected, tolerance);
  if (difference <= bound && Number.isFinite(expected)) return 0;
  return Number.isFinite(difference) && bound > 0 ? difference / bound : Number.POSITIVE_INFINITY;
}

function boundOf(expected: number, { atol, rtol }: Tolerance): number {
  return atol + rtol * Math.abs(expected);
}
