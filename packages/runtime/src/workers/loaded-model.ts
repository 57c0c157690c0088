import type { ModelConfig, ModelWeights, RopeTable } from "@winnow/models";

/** A model in shared memory: one copy per engine, read by every worker. Structured-cloneable. */
export interface LoadedModel {
  readonly folder: string;
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  /** Rotary tables; prompts beyond them get longer ones where they run. */
  readonly rope: RopeTable;
  readonly endOfSequenceIds: readonly number[];
}
