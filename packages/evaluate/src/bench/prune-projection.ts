import type { DecoderShape } from "./synthetic-model.js";
import type { WeightShape } from "./weight-budgets.js";

/** Matrices of one shape in a layer. */
export interface MatrixKind extends WeightShape {
  readonly name: string;
  /** In each layer. */
  readonly count: number;
}

export type LayerSizes = Pick<DecoderShape, "hiddenSize" | "intermediateSize">;

/** The seven matrices of a layer whose keys and values have as many heads as its queries. */
export function matrixKinds({ hiddenSize, intermediateSize }: LayerSizes): MatrixKind[] {
  return [
    { name: "q, k, v, o", outFeatures: hiddenSize, inFeatures: hiddenSize, count: 4 },
    { name: "gate, up", outFeatures: intermediateSize, inFeatures: hiddenSize, count: 2 },
    { name: "down", outFeatures: hiddenSize, inFeatures: intermediateSize, count: 1 },
  ];
}

/** A kind of matrix, measured. */
export interface PrunedKind extends MatrixKind {
  readonly seconds: number;
  /** Peak memory of the process that pruned one matrix: weight and statistics included. */
  readonly peakBytes: number;
  /** The part of it that the method takes beside them. */
  readonly workBytes: number;
}

export interface ProjectionInputs {
  readonly kinds: readonly PrunedKind[];
  /** Seconds of the calibration passes for one token through one layer; null: the runs differed by less than they vary. */
  readonly tokenSeconds: number | null;
  /** Of a process that has only started. */
  readonly startBytes: number;
  readonly hessian: boolean;
}

/** The run that is projected. */
export interface ProjectedRun {
  readonly layers: number;
  readonly tokens: number;
}

export interface Projection {
  /** Null where the calibration passes could not be measured. */
  readonly seconds: number | null;
  readonly peakBytes: number;
  /** How both follow from what was measured. */
  readonly formula: { readonly seconds: string; readonly peakBytes: string };
}

const BF16_BYTES = 2;
const F32_BYTES = 4;

/**
 * Time and memory of `winnow prune` with one worker: layers one after the other, each through its calibration passes and matrix by matrix. In memory are the
 * layer twice (as the model has it, and ready to run), for methods with a Hessian the sums of its four inputs twice (in all, and of the part that runs), and
 * what the method needs for the largest matrix; residual streams are in a file.
 */
export function projectPruning(inputs: ProjectionInputs, { layers, tokens }: ProjectedRun): Projection {
  const { kinds, tokenSeconds, startBytes, hessian } = inputs;
  const matrixSeconds = sum(kinds, ({ count, seconds }) => count * seconds);
  const layerBytes = BF16_BYTES * sum(kinds, ({ count, outFeatures, inFeatures }) => count * outFeatures * inFeatures);
  const statisticsBytes = hessian ? F32_BYTES * sum(inputWidths(kinds), (width) => width ** 2) : 0;
  const workBytes = Math.max(...kinds.map((kind) => kind.workBytes));
  return {
    seconds: tokenSeconds === null ? null : layers * (tokens * tokenSeconds + matrixSeconds),
    peakBytes: startBytes + 2 * layerBytes + 2 * statisticsBytes + workBytes,
    formula: {
      seconds: `${layers} layers * (${tokens} tokens * ${milliseconds(tokenSeconds)} + ${matrixSeconds.toPrecision(3)} s for the matrices)`,
      peakBytes: `${gigabytes(startBytes)} process + 2 * ${gigabytes(layerBytes)} layer + 2 * ${gigabytes(statisticsBytes)} statistics + ${gigabytes(workBytes)} method`,
    },
  };
}

/** Of q, k, v; of o; of gate, up; of down. */
function inputWidths(kinds: readonly PrunedKind[]): number[] {
  const [attention, , down] = kinds;
  return [attention.inFeatures, attention.inFeatures, attention.inFeatures, down.inFeatures];
}

function milliseconds(seconds: number | null): string {
  return seconds === null ? "unknown" : `${(1000 * seconds).toPrecision(3)} ms`;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toPrecision(3)} GiB`;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
