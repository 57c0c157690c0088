import { type DenseWeight, type FloatDtype, type WeightTarget, WinnowError } from "@winnow/core";
import { ZeroStatistics } from "@winnow/models";
import type { WeightFormatChoice } from "../config/weights.js";

/** Zeros below this share do not pay for a bitmap: 16 bits a weight against 1 + 16 * density and a slower kernel. */
const BITMAP_ZEROS = 0.35;

/** A matrix counts as N:M only if at least this share of the N places is taken; otherwise it just happens to fit, and a bitmap is smaller. */
const FILLED = 0.9;

/** What a count of zeros says about a matrix. */
export interface ZeroPattern {
  readonly zeros: number;
  readonly elements: number;
  /** Of each `of` neighbours at most `keep` are not zero; per size up to the row's, the smallest such `keep`. */
  readonly groups: readonly NmPattern[];
}

export interface NmPattern {
  readonly keep: number;
  readonly of: number;
}

/** Counts zeros (-0 is one) and the fullest group of 2, 4, 8 and 16 neighbours along a row. O(out * in). */
export function zeroPattern({ data, inFeatures }: DenseWeight): ZeroPattern {
  const statistics = new ZeroStatistics(inFeatures);
  statistics.add(data);
  const sizes = [2, 4, 8, 16].filter((of) => of <= inFeatures);
  const groups = sizes.map((of) => ({ keep: statistics.mostOf(of), of }));
  return { zeros: statistics.zeros, elements: data.length, groups };
}

/** The N:M pattern that a matrix was made for: the tightest that it fits and fills, smaller groups first; undefined if there is none with N <= M / 2. */
export function nmPatternOf({ zeros, elements, groups }: ZeroPattern): NmPattern | undefined {
  const density = 1 - zeros / elements;
  return tightest(groups.filter(({ keep, of }) => keep > 0 && keep / of <= 0.5 && density >= (FILLED * keep) / of));
}

/**
 * How a dense matrix is held for `precision`, as `weightFormat` says. `auto`: N:M as groups, others with at least 35 % zeros as a bitmap, in bf16 only; the rest
 * dense. Errors: `ERR_WEIGHT_FORMAT` where `groups` was asked for and the matrix has no N:M pattern.
 */
export function chooseFormat(weight: DenseWeight, choice: WeightFormatChoice, precision: FloatDtype): WeightTarget {
  const dense = { format: "dense-panel16", dtype: precision } as const;
  switch (choice) {
    case "dense":
      return dense;
    case "bitmap":
      return { format: "bitmap", dtype: "bf16" };
    case "bitmap-int8":
      return { format: "bitmap", dtype: "int8" };
    case "int8":
      return { format: "int8-panel16" };
    case "groups":
      return { format: "groups", ...anyPattern(zeroPattern(weight)) };
    case "auto":
      return precision === "bf16" && mayBeSparse(weight) ? smallest(zeroPattern(weight), dense) : dense;
  }
}

function smallest(pattern: ZeroPattern, dense: WeightTarget): WeightTarget {
  const groups = nmPatternOf(pattern);
  if (groups) return { format: "groups", ...groups };
  return pattern.zeros / pattern.elements >= BITMAP_ZEROS ? { format: "bitmap", dtype: "bf16" } : dense;
}

/** Below this share of zeros there is neither an N:M pattern, which leaves at least a third, nor enough for a bitmap. */
const FEWEST_ZEROS = 0.3;

/** Runs on each matrix of a model that is loaded, and most have no zeros: it stops as soon as too few can be left. */
function mayBeSparse({ data, dtype }: DenseWeight): boolean {
  const most = (1 - FEWEST_ZEROS) * data.length;
  let kept = 0;
  for (let e = 0; e < data.length && kept <= most; e++) {
    const stored = data[e];
    if (dtype === "bf16" ? (stored & 0x7fff) !== 0 : stored !== 0) kept++;
  }
  return kept <= most;
}

function anyPattern(pattern: ZeroPattern): NmPattern {
  const filled = pattern.groups.map(({ keep, of }) => ({ keep: Math.max(1, keep), of }));
  const found = tightest(filled.filter(({ keep, of }) => keep < of));
  if (found) return found;
  throw new WinnowError(
    "ERR_WEIGHT_FORMAT",
    `Cannot hold the matrix as groups: some of its groups of 2, 4, 8 and 16 neighbours have no zero (${((100 * pattern.zeros) / pattern.elements).toFixed(1)} % zeros in all). Prune it to an N:M pattern, or set weightFormat to auto.`,
  );
}

function tightest(patterns: readonly NmPattern[]): NmPattern | undefined {
  return patterns.toSorted((a, b) => a.keep / a.of - b.keep / b.of || a.of - b.of)[0];
}
