import {
  type DenseWeight,
  type FloatDtype,
  fromBf16,
  type Projection,
  projections,
  type StatisticName,
} from "@winnow/core";
import { Seeded, toStored } from "../seeded.js";
import { smallModel } from "./subject.js";

/** A made-up matrix with inputs that it sees while calibrating. */
export interface Matrix {
  /** For messages, such as `q_proj of layer 0 (64 x 24)`. */
  readonly name: string;
  readonly layer: number;
  readonly projection: Projection;
  readonly weight: DenseWeight;
  readonly statistics: Readonly<Record<StatisticName, Float32Array | undefined>>;
  readonly tokens: number;
  readonly sequences: number;
}

export interface MatrixSettings {
  readonly layer?: number;
  readonly projection: Projection;
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly dtype?: FloatDtype;
  /** Changes the float32 weights before they are stored. */
  readonly spoil?: (weight: Float32Array, outFeatures: number, inFeatures: number) => void;
  /** Changes an input, by its token and channel. */
  readonly input?: (value: number, token: number, channel: number) => number;
}

const HIDDEN = 24;
const INTERMEDIATE = 40;
const TOKENS = 48;
const SEQUENCES = 2;

/** Rows and columns of each projection of the small model. */
function sizeOf(projection: Projection): { outFeatures: number; inFeatures: number } {
  const { queryHeads, kvHeads, headDim } = smallModel;
  const sizes: Record<Projection, readonly [number, number]> = {
    q_proj: [queryHeads * headDim, HIDDEN],
    k_proj: [kvHeads * headDim, HIDDEN],
    v_proj: [kvHeads * headDim, HIDDEN],
    o_proj: [HIDDEN, queryHeads * headDim],
    gate_proj: [INTERMEDIATE, HIDDEN],
    up_proj: [INTERMEDIATE, HIDDEN],
    down_proj: [HIDDEN, INTERMEDIATE],
  };
  const [outFeatures, inFeatures] = sizes[projection];
  return { outFeatures, inFeatures };
}

type Change = Omit<MatrixSettings, "layer" | "projection" | "outFeatures" | "inFeatures">;

/** Every matrix of the small model, in order of layers and projections. */
export function modelMatrices(change: Change = {}): Matrix[] {
  return Array.from({ length: smallModel.layers }, (_, layer) =>
    projections.map((projection) => makeMatrix({ ...change, layer, projection, ...sizeOf(projection) })),
  ).flat();
}

/** One matrix of each projection, all of one size. */
export function sizedMatrices(outFeatures: number, inFeatures: number, change: Change = {}): Matrix[] {
  return projections.map((projection) => makeMatrix({ ...change, projection, outFeatures, inFeatures }));
}

/** Reproducible; some inputs are much larger than others, as in real models. No weight is zero unless `spoil` makes it so. */
export function makeMatrix(settings: MatrixSettings): Matrix {
  const { layer = 0, projection, outFeatures, inFeatures, dtype = "f32", spoil, input = (value) => value } = settings;
  const seeded = new Seeded(1 + 10 * layer + projections.indexOf(projection));
  const values = seeded.normals(outFeatures * inFeatures, { exactBf16: true }).map((value) => value || 1);
  spoil?.(values, outFeatures, inFeatures);
  const scales = Float64Array.from({ length: inFeatures }, () => Math.exp(seeded.normal()));
  const x = Float32Array.from({ length: TOKENS * inFeatures }, (_, e) => {
    const [token, channel] = [Math.floor(e / inFeatures), e % inFeatures];
    return input(scales[channel] * (seeded.normal() + 0.3), token, channel);
  });
  const bias = projection === "q_proj" ? seeded.normals(outFeatures) : undefined;
  const gated = { up_proj: outFeatures, down_proj: inFeatures }[projection as string];
  return {
    name: `${projection} of layer ${layer} (${outFeatures} x ${inFeatures})`,
    layer,
    projection,
    weight: {
      format: "dense",
      dtype,
      outFeatures,
      inFeatures,
      data: toStored(values, dtype),
      ...(bias && { bias }),
    },
    statistics: {
      ...statisticsOf(x, inFeatures),
      activatedGate: gated ? seeded.normals(TOKENS * gated).map(silu) : undefined,
    },
    tokens: TOKENS,
    sequences: SEQUENCES,
  };
}

/** Weights as numbers. */
export function weightValues({ data }: DenseWeight): Float64Array {
  return Float64Array.from(data, (value) => (data instanceof Float32Array ? value : fromBf16(value)));
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** Plain float64 loops over `[tokens, in]`. */
function statisticsOf(x: Float32Array, width: number): Record<Exclude<StatisticName, "activatedGate">, Float32Array> {
  const channels = Array.from({ length: width }, (_, i) =>
    Array.from({ length: TOKENS }, (_, token) => x[token * width + i]),
  );
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, t) => sum + value * b[t], 0);
  const each = TOKENS / SEQUENCES;
  const within = (values: readonly number[]) =>
    mean(Array.from({ length: SEQUENCES }, (_, s) => variance(values.slice(s * each, (s + 1) * each))));
  return {
    norm: Float32Array.from(channels, (values) => Math.sqrt(dot(values, values))),
    mean: Float32Array.from(channels, mean),
    variance: Float32Array.from(channels, variance),
    withinVariance: Float32Array.from(channels, within),
    hessian: Float32Array.from(channels.flatMap((row) => channels.map((column) => dot(row, column)))),
    inputs: x,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function variance(values: readonly number[]): number {
  const middle = mean(values);
  return mean(values.map((value) => (value - middle) ** 2));
}
