export { type AttentionBench, type AttentionBenchOptions, type AttentionRow, benchAttention } from "./attention.js";
export type { Conditions, MachineConditions } from "./conditions.js";
export { benchDecode, type DecodeBench, type DecodeBenchOptions, type DecodeVariant } from "./decode.js";
export {
  benchDecodeWeights,
  type DecodeWeightsBench,
  type DecodeWeightsOptions,
  type DecodeWeightsRow,
} from "./decode-weights.js";
export { benchEstimate, type EstimateBench, type EstimateBenchOptions, type EstimateRow } from "./estimate.js";
export { benchMasks, type MaskRow, type MasksBench, type MasksBenchOptions } from "./masks.js";
export { type BenchHooks, type Rounds, type Spread, spreadOf } from "./measure.js";
export { benchMemory, type MemoryBench, type MemoryBenchOptions, type MemoryVariant } from "./memory.js";
export type { AttentionShape } from "./operands.js";
export type { PluginLoadRow } from "./plugin-load.js";
export { benchPlugins, type PluginsBench, type PluginsBenchOptions } from "./plugins.js";
export { benchPrefill, type PrefillBench, type PrefillBenchOptions } from "./prefill.js";
export type { DenseSummary, PrefillRun, PrefillSummary, PromptRow } from "./prefill-summary.js";
export { benchPrune, type PruneBench, type PruneBenchOptions, type PruneMethodRow, pruneMethods } from "./prune.js";
export type { ProjectedRun, Projection, PrunedKind } from "./prune-projection.js";
export { benchQuality, type QualityBench, type QualityBenchOptions } from "./quality.js";
export {
  defaultQualitySettings,
  parseQualitySetting,
  type QualityCell,
  type QualitySetting,
  qualityCells,
  qualityMethods,
  selectedSparsities,
  settingText,
} from "./quality-cells.js";
export { type QualityPerplexity, type QualityResult, type QualitySettings, textName } from "./quality-log.js";
export {
  benchResponsiveness,
  type ResponsivenessBench,
  type ResponsivenessBenchOptions,
} from "./responsiveness.js";
export type { WeightShape } from "./weight-budgets.js";
export { benchWeights, type WeightsBench, type WeightsBenchOptions, type WeightsSection } from "./weights.js";
export type { WeightsRow } from "./weights-summary.js";
