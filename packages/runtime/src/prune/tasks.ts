import type {
  CalibrationStatistics,
  DenseWeight,
  LinearWeight,
  Projection,
  StatisticName,
  SurveyedMatrix,
} from "@winnow/core";
import type { LayerWeights } from "@winnow/models";
import type { CalibrationSettings, WeightFormatChoice } from "../config/weights.js";
import type { MatrixPlace, PlannedSparsifier } from "../plan/plan.js";
import type { StatisticPlace, WantedStatistics } from "./places.js";
import type { PartialSums } from "./statistics.js";

/** What a worker is asked for while weights are pruned. Plain data and shared memory. */
export type PruneStep =
  | DescribeStep
  | SampleStep
  | EmbedStep
  | LoadLayerStep
  | GatherStep
  | MergeStep
  | MeasureStep
  | CombineStep
  | SparsifyStep
  | PropagateStep
  | ReadMatrixStep
  | WriteMatrixStep;

/** Makes every planned sparsifier. Result: {@link SparsifierNeeds} of each. */
export interface DescribeStep {
  readonly step: "describe";
}

export interface SparsifierNeeds {
  readonly statistics: readonly StatisticName[];
  /** Whether its results may bring biases. */
  readonly changesBias: boolean;
  /** Passes of its survey; 0: it has none. */
  readonly surveyPasses: number;
}

/** Draws the calibration windows. Result: {@link CalibrationSample}. */
export interface SampleStep {
  readonly step: "sample";
  readonly settings: CalibrationSettings;
}

export interface CalibrationSample {
  readonly text: string;
  readonly sha256: string;
  /** `[sequences, length]`. */
  readonly ids: Int32Array;
}

/** Sequences in a file of residual streams, float32 `[sequences, length, hidden]`. */
export interface SequenceRange {
  /** First and one beyond the last. */
  readonly start: number;
  readonly end: number;
  /** Tokens of each. */
  readonly length: number;
}

/** Writes the residual streams before the first layer. */
export interface EmbedStep {
  readonly step: "embed";
  readonly file: string;
  readonly ids: Int32Array;
  readonly length: number;
}

/** Reads one layer. Result: {@link LoadedLayer}. */
export interface LoadLayerStep {
  readonly step: "load-layer";
  readonly layer: number;
  /** Whether the layer will run. */
  readonly run: boolean;
}

export interface LoadedLayer {
  /** Matrices as the model has them, row-major. */
  readonly own: Readonly<Record<Projection, DenseWeight>>;
  /** Ready to run; absent unless that was asked for. */
  readonly packed?: LayerWeights;
}

/** Runs a dense layer over some sequences and gathers statistics of its inputs. Result: {@link GatheredPart}. */
export interface GatherStep {
  readonly step: "gather";
  readonly layer: number;
  readonly weights: LayerWeights;
  readonly file: string;
  readonly range: SequenceRange;
  readonly wanted: WantedStatistics;
  readonly samples: InputSamples;
}

export type GatheredPart = Readonly<Partial<Record<StatisticPlace, PartialSums>>>;

/** Shared memory that sampled inputs are written to. */
export interface InputSamples {
  /** Tokens, counted over all sequences, ascending. */
  readonly tokens: Int32Array;
  readonly inputs: Readonly<Partial<Record<StatisticPlace, Float32Array>>>;
  readonly activatedGate?: Float32Array;
}

/** Adds a gram matrix to another, in shared memory. */
export interface MergeStep {
  readonly step: "merge";
  readonly into: Float32Array;
  readonly part: Float32Array;
}

interface MatrixStep extends MatrixPlace {
  readonly original: DenseWeight;
}

/** One matrix for the survey of its sparsifier. Result: what it measured. */
export interface MeasureStep extends MatrixStep {
  readonly step: "measure";
  readonly planned: PlannedSparsifier;
  readonly previous?: unknown;
}

export interface CombineStep {
  readonly step: "combine";
  readonly planned: PlannedSparsifier;
  readonly matrices: readonly SurveyedMatrix[];
  readonly previous?: unknown;
}

/** One matrix through all its sparsifiers, of which there may be none. Result: {@link SparsifiedMatrix}. */
export interface SparsifyStep extends MatrixStep {
  readonly step: "sparsify";
  readonly sparsifiers: readonly { readonly planned: PlannedSparsifier; readonly survey?: unknown }[];
  readonly statistics: CalibrationStatistics;
  /** Whether the layer will run with it. */
  readonly run: boolean;
  readonly keep: Keep;
}

/**
 * What is made of a result: a weight for the kernels, which is returned; or a file with a matrix of the compact form, or with a plain one of the model's own
 * type.
 */
export type Keep =
  | { readonly as: "memory"; readonly format: WeightFormatChoice }
  | { readonly as: "sparse"; readonly format: WeightFormatChoice; readonly file: string }
  | { readonly as: "plain"; readonly file: string };

export interface SparsifiedMatrix {
  /** In shared memory; absent if it went to a file. */
  readonly stored?: LinearWeight;
  /** Ready to run. */
  readonly packed?: LinearWeight;
  readonly report: MatrixReport;
}

/** What became of one matrix. */
export interface MatrixReport extends MatrixPlace {
  readonly sparsifiers: readonly string[];
  readonly format: string;
  readonly elements: number;
  readonly zeros: number;
  /** `2:4` and the like; null: no such pattern. */
  readonly pattern: string | null;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly seconds: number;
  /** What sparsifiers say of their result. */
  readonly facts: Readonly<Record<string, string | number>>;
}

/** Runs a layer over some sequences and writes the residual streams after it. */
export interface PropagateStep {
  readonly step: "propagate";
  readonly layer: number;
  readonly weights: LayerWeights;
  readonly from: string;
  readonly to: string;
  readonly range: SequenceRange;
}

/** Reads a matrix from a file. Result: the weight, in shared memory. */
export interface ReadMatrixStep {
  readonly step: "read-matrix";
  readonly file: string;
}

/** Writes a matrix into a file. Result: its bytes. */
export interface WriteMatrixStep {
  readonly step: "write-matrix";
  readonly file: string;
  readonly weight: LinearWeight;
}
