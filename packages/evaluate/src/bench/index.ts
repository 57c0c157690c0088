export { type AttentionBench, type AttentionBenchOptions, type AttentionRow, benchAttention } from "./attention.js";
export type { Conditions } from "./conditions.js";
export { benchDecode, type DecodeBench, type DecodeBenchOptions, type DecodeVariant } from "./decode.js";
export { benchEstimate, type EstimateBench, type EstimateBenchOptions, type EstimateRow } from "./estimate.js";
export { benchMasks, type MaskRow, type MasksBench, type MasksBenchOptions } from "./masks.js";
export { type BenchHooks, type Rounds, type Spread, spreadOf } from "./measure.js";
export { benchMemory, type MemoryBench, type MemoryBenchOptions, type MemoryVariant } from "./memory.js";
export type { AttentionShape } from "./operands.js";
export { benchPrefill, type PrefillBench, type PrefillBenchOptions } from "./prefill.js";
export type { DenseSummary, PrefillRun, PrefillSummary, PromptRow } from "./prefill-summary.js";
export {
  benchResponsiveness,
  type ResponsivenessBench,
  type ResponsivenessBenchOptions,
} from "./responsiveness.js";
