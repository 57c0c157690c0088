import type { CalibrationStatistics } from "@winnow/core";
import type { StatisticPlace, WantedStatistics } from "./places.js";

/**
 * Running sums over the inputs of one place, `[rows, in]`. Means and squared deviations are merged by the formula of Chan, Golub and LeVeque (1979),
 * which loses nothing where the mean is large and the variance small; a constant input has variance 0 exactly.
 * Sums are float64 and depend on the order of calls alone.
 */
export class InputSums {
  private readonly squares?: Float64Array;
  private readonly moments?: { readonly all: Moments; sequence: Moments; readonly within: Float64Array };
  readonly hessian?: Float32Array;

  constructor(
    readonly width: number,
    wanted: NonNullable<WantedStatistics[StatisticPlace]>,
  ) {
    if (wanted.includes("norm")) this.squares = new Float64Array(width);
    if (wanted.some((name) => name === "mean" || name === "variance" || name === "withinVariance"))
      this.moments = { all: noMoments(width), sequence: noMoments(width), within: new Float64Array(width) };
    if (wanted.includes("hessian")) this.hessian = new Float32Array(new SharedArrayBuffer(4 * width * width));
  }

  /** Rows of the current sequence. The gram matrix is left to `operations.accumulateGram` on {@link hessian}. */
  add(x: Float32Array, rows: number): void {
    if (this.squares) addSquares(this.squares, x, rows);
    if (this.moments) mergeMoments(this.moments.sequence, momentsOf(x, rows, this.width));
  }

  endSequence(): void {
    if (!this.moments) return;
    const { all, sequence, within } = this.moments;
    for (let j = 0; j < this.width; j++) within[j] += sequence.deviations[j];
    mergeMoments(all, sequence);
    this.moments.sequence = noMoments(this.width);
  }

  /** What {@link addPart} of another thread takes. */
  part(): PartialSums {
    const { squares, moments, hessian } = this;
    return {
      ...(squares && { squares }),
      ...(moments && { moments: moments.all, within: moments.within }),
      ...(hessian && { hessian }),
    };
  }

  addPart(part: PartialSums): void {
    if (this.squares && part.squares) addTo(this.squares, part.squares);
    if (this.moments && part.moments && part.within) {
      mergeMoments(this.moments.all, part.moments);
      addTo(this.moments.within, part.within);
    }
    if (this.hessian && part.hessian) addTo(this.hessian, part.hessian);
  }

  /** The statistics that were asked for; `tokens` and `sequences` are those of all calls. */
  result(tokens: number, sequences: number): CalibrationStatistics {
    const { squares, moments, hessian } = this;
    const perToken = (sums: Float64Array) => Float32Array.from(sums, (sum) => sum / tokens);
    return {
      tokens,
      sequences,
      ...(squares && { norm: Float32Array.from(squares, Math.sqrt) }),
      ...(moments && {
        mean: Float32Array.from(moments.all.mean),
        variance: perToken(moments.all.deviations),
        withinVariance: perToken(moments.within),
      }),
      ...(hessian && { hessian }),
    };
  }
}

/** Plain data; the gram matrix is in shared memory. */
export interface PartialSums {
  readonly squares?: Float64Array;
  readonly moments?: Moments;
  readonly within?: Float64Array;
  readonly hessian?: Float32Array;
}

interface Moments {
  rows: number;
  readonly mean: Float64Array;
  /** Sums of squared deviations from the mean. */
  readonly deviations: Float64Array;
}

function noMoments(width: number): Moments {
  return { rows: 0, mean: new Float64Array(width), deviations: new Float64Array(width) };
}

function momentsOf(x: Float32Array, rows: number, width: number): Moments {
  const { mean, deviations } = noMoments(width);
  for (let row = 0, e = 0; row < rows; row++) for (let j = 0; j < width; j++, e++) mean[j] += x[e];
  for (let j = 0; j < width; j++) mean[j] /= rows;
  for (let row = 0, e = 0; row < rows; row++)
    for (let j = 0; j < width; j++, e++) deviations[j] += (x[e] - mean[j]) ** 2;
  return { rows, mean, deviations };
}

function mergeMoments(into: Moments, other: Moments): void {
  const rows = into.rows + other.rows;
  if (rows === 0) return;
  for (let j = 0; j < into.mean.length; j++) {
    const delta = other.mean[j] - into.mean[j];
    into.mean[j] = into.rows === 0 ? other.mean[j] : into.mean[j] + (delta * other.rows) / rows;
    into.deviations[j] += other.deviations[j] + ((delta * into.rows) / rows) * delta * other.rows;
  }
  into.rows = rows;
}

function addSquares(sums: Float64Array, x: Float32Array, rows: number): void {
  for (let row = 0, e = 0; row < rows; row++) for (let j = 0; j < sums.length; j++, e++) sums[j] += x[e] * x[e];
}

function addTo(sums: Float64Array | Float32Array, more: Float64Array | Float32Array): void {
  for (let e = 0; e < sums.length; e++) sums[e] += more[e];
}
