import {
  channelsWeight,
  type DenseWeight,
  fromBf16,
  type LinearWeight,
  type LowRankFactors,
  type Operations,
  type Selection,
} from "@winnow/core";
import { randomBf16, randomWeight, repeatedUniform, withRandomZeros, withTwoOfFour } from "./random-weight.js";
import { rSparseBudget, type WeightShape } from "./weight-budgets.js";

/** Type of the dense weight that a format competes with. */
export type DenseType = "bf16" | "int8";

/** What a format should reach: a share of its byte ratio, or a speed-up over dense bf16. */
export type SpeedTarget = { readonly of: "byte ratio" | "dense bf16"; readonly atLeast: number };

export interface WeightCase {
  readonly name: string;
  readonly over: DenseType;
  readonly weight: LinearWeight;
  readonly target?: SpeedTarget;
}

export const denseNames: Readonly<Record<DenseType, string>> = { bf16: "dense bf16", int8: "dense int8" };

const ZEROS = [0.5, 0.7];
const SKIPPED = 0.5;
const R_SPARSE = { s: 0.5, rho: 0.95 };

const bitmapTarget: SpeedTarget = { of: "byte ratio", atLeast: 0.85 };
const channelsTarget: SpeedTarget = { of: "dense bf16", atLeast: 1.7 };
const rSparseTarget: SpeedTarget = { of: "dense bf16", atLeast: 1.5 };

/** One row of inputs in [-1, 1). */
export function randomInput(inFeatures: number): Float32Array {
  const uniform = repeatedUniform(4);
  return Float32Array.from({ length: inFeatures }, (_, j) => 2 * uniform(j) - 1);
}

/**
 * A random matrix of a shape in all formats, dense ones first. Zeros are at random places; thresholds are set so that exactly the wanted channels of `x` count.
 * The low-rank factors are random too: a product takes as long with them as with those of a decomposition.
 */
export function weightCases(
  shape: WeightShape,
  x: Float32Array,
  operations: Pick<Operations, "encodeWeight">,
): WeightCase[] {
  const dense = randomWeight(shape);
  const encoded = (weight: DenseWeight, target: Parameters<Operations["encodeWeight"]>[1]) =>
    operations.encodeWeight(weight, target);
  const bitmaps = ZEROS.flatMap((zeros) => {
    const weight = withRandomZeros(dense, zeros);
    return (["bf16", "int8"] as const).map((dtype): WeightCase => {
      const name = `bitmap ${dtype}, ${100 * zeros} % zeros`;
      return { name, over: dtype, weight: encoded(weight, { format: "bitmap", dtype }), target: bitmapTarget };
    });
  });
  const groups = encoded(withTwoOfFour(dense), { format: "groups", keep: 2, of: 4 });
  return [
    { name: denseNames.bf16, over: "bf16", weight: encoded(dense, { format: "dense-panel16", dtype: "bf16" }) },
    { name: denseNames.int8, over: "int8", weight: encoded(dense, { format: "int8-panel16" }) },
    ...bitmaps,
    { name: "groups 2:4", over: "bf16", weight: groups },
    channelCase(dense, x),
    rSparseCase(dense, x),
  ];
}

function channelCase(dense: DenseWeight, x: Float32Array): WeightCase {
  const selection = largestByThreshold(x, Math.round(x.length * (1 - SKIPPED)));
  const weight = channelsWeight(dense, "bf16", selection);
  return { name: `channels, ${100 * SKIPPED} % skipped`, over: "bf16", weight, target: channelsTarget };
}

function rSparseCase(dense: DenseWeight, x: Float32Array): WeightCase {
  const { s, rho } = R_SPARSE;
  const { channels, rank } = rSparseBudget(dense, s, rho);
  const selection = largestByThreshold(x, channels, columnNorms(dense));
  const weight = channelsWeight(dense, "bf16", selection, randomFactors(dense, rank));
  return { name: `R-Sparse, s ${s}, rho ${rho}, rank ${rank}`, over: "bf16", weight, target: rSparseTarget };
}

/** A threshold that the `keep` entries of largest `|x_j| * scale_j` exceed; fewer where some equal the next one. */
export function largestByThreshold(x: Float32Array, keep: number, scale?: Float32Array): Selection {
  const scores = x.map((value, j) => Math.abs(value) * (scale?.[j] ?? 1)).sort();
  const threshold = keep >= scores.length ? -1 : scores[scores.length - keep - 1];
  return { rule: "threshold", thresholds: Float32Array.of(threshold), ...(scale && { scale }) };
}

function columnNorms({ data, inFeatures }: DenseWeight): Float32Array {
  const squares = new Float64Array(inFeatures);
  for (let row = 0; row < data.length; row += inFeatures)
    for (let i = 0; i < inFeatures; i++) squares[i] += fromBf16(data[row + i]) ** 2;
  return Float32Array.from(squares, Math.sqrt);
}

/** Absent for rank 0. */
function randomFactors({ inFeatures, outFeatures }: WeightShape, rank: number): LowRankFactors | undefined {
  if (rank === 0) return undefined;
  const inputs = randomBf16(inFeatures * rank, 1 / Math.sqrt(inFeatures), 5);
  return { rank, dtype: "bf16", inputs, outputs: randomBf16(rank * outFeatures, 1 / Math.sqrt(rank), 6) };
}

/** The same weight at another place in memory. */
export function copyWeight<T extends object>(weight: T): T {
  return Object.fromEntries(Object.entries(weight).map(([name, value]) => [name, copied(value)])) as T;
}

function copied(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (!ArrayBuffer.isView(value)) return copyWeight(value);
  const source = value as Uint8Array;
  const Type = source.constructor as Uint8ArrayConstructor;
  const copy = new Type(new SharedArrayBuffer(source.byteLength));
  copy.set(source);
  return copy;
}
