import type { FloatDtype, LinearFormat, ModelShape, OperationName, Projection, SourceLocation } from "@winnow/core";
import type { CalibrationSettings, WeightFormatChoice } from "../config/weights.js";

/**
 * Everything that is decided before anything runs. Plain data: it goes to workers and into the receipt as it is.
 */
export interface Plan {
  readonly model: PlannedModel;
  /** Arithmetic of projections and of attention, and the type of the KV cache. */
  readonly precision: FloatDtype;
  readonly workers: number;
  /** Threads inside an operation, per worker. */
  readonly threads: number;
  readonly kernels: PlannedKernels;
  /** Which attention each layer and head range computes in prefill; covers every layer and head exactly once. */
  readonly prefill: readonly PlannedMasker[];
  /** At most one KV pruner per layer; layers without one read and keep everything. */
  readonly decode: readonly PlannedPruner[];
  /** What is done to the weights before they are used, in order. */
  readonly weights: PlannedWeights;
  /** Plugins that workers must load. */
  readonly plugins: readonly PluginModule[];
  /** Where each value came from, by dotted path (`prefill.options.verticalSize`). */
  readonly provenance: readonly ProvenanceEntry[];
  /** Substitutions the configuration allowed and the planner made, e.g. native kernels missing. */
  readonly fallbacks: readonly PlannedFallback[];
}

export interface PlannedModel {
  readonly folder: string;
  readonly architecture: string;
  readonly shape: ModelShape;
  /** Sliding window of each layer of the model itself; null: none. */
  readonly slidingWindow: readonly (number | null)[];
  /** Formats of the matrices that the folder holds in compact form; empty for an ordinary model. */
  readonly weightFormats: readonly LinearFormat[];
}

export interface PlannedKernels {
  /** Kernel package of each operation. */
  readonly assignment: Readonly<Record<OperationName, string>>;
  readonly isa: string;
  /** Weight formats that the package of the projections takes. */
  readonly weightFormats: readonly string[];
  /** Packages that have kernels for an operation and do not run it. A plugin that nobody asked for is not loaded, and not here. */
  readonly notChosen: readonly NotChosenKernel[];
}

export interface NotChosenKernel {
  readonly operation: OperationName;
  readonly id: string;
  readonly reason: string;
}

export interface PlannedMasker {
  readonly layer: number;
  readonly heads: { readonly start: number; readonly end: number };
  /** Plugin id, or `dense`. */
  readonly masker: string;
  /** Resolved options, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly inner?: readonly PlannedInner[];
}

/** A plugin that stands in another plugin's options. */
export interface PlannedInner {
  readonly plugin: string;
  readonly inner: readonly PlannedInner[];
}

export interface PlannedPruner {
  /** Layers that this pruner serves, ascending; one state of a sequence goes through all of them. */
  readonly layers: readonly number[];
  readonly kvPruner: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly inner?: readonly PlannedInner[];
}

export interface PlannedWeights {
  readonly sparsifiers: readonly PlannedSparsifier[];
  readonly calibration: CalibrationSettings;
  readonly format: WeightFormatChoice;
}

/** One plugin with one set of options, and the matrices that it works on. */
export interface PlannedSparsifier {
  readonly sparsifier: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly inner?: readonly PlannedInner[];
  /** Entry of `weights` that this comes from; a matrix is in at most one planned sparsifier of an entry. */
  readonly entry: number;
  /** In order of layers and projections. */
  readonly matrices: readonly MatrixPlace[];
}

export interface MatrixPlace {
  readonly layer: number;
  readonly projection: Projection;
}

export interface PluginModule {
  readonly id: string;
  /** Absolute file URL of the module that default-exports (or lists) the plugin. */
  readonly url: string;
  readonly package: string;
  readonly version: string;
}

export interface ProvenanceEntry {
  readonly path: string;
  readonly value: unknown;
  readonly origin: "default" | "plugin default" | "yaml" | "set" | "code";
  readonly location?: SourceLocation;
}

export interface PlannedFallback {
  readonly operation: OperationName;
  readonly wanted: string;
  readonly used: string;
  readonly reason: string;
}
