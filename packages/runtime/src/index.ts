export { ConfigDocument, configFromObject, parseConfig, readConfig } from "./config/config.js";
export { type PipelineConfig, type PipelineInput, pipelineSchema } from "./config/schema.js";
export {
  type PerplexitySettings,
  type PromptSource,
  perplexitySchema,
  type Step,
  type StepEntry,
  type StepName,
  type StepSettings,
  stepEntry,
  stepTable,
} from "./config/steps.js";
export { type ConfigSource, type CreateEngineOptions, createEngine, createPlan } from "./engine/create-engine.js";
export { Engine, type ScoreOptions } from "./engine/engine.js";
export { type GenerateInput, Generation, type RunHooks, Sequence } from "./engine/generation.js";
export type { GenerationInput, GenerationOptions, SamplingOptions } from "./engine/generation-options.js";
export type { Prompt } from "./engine/prompt.js";
export { explainPlan } from "./plan/explain.js";
export { pipelineJsonSchema } from "./plan/json-schema.js";
export type { Plan } from "./plan/plan.js";
export { chooseFormat } from "./prune/choose-format.js";
export { type PruneOptions, type PruneReport, prune } from "./prune/prune.js";
export type { MatrixReport } from "./prune/tasks.js";
export { type FallbackGroup, groupFallbacks } from "./receipt/fallbacks.js";
export { type Receipt, receiptJsonSchema, receiptSchema } from "./receipt/receipt.js";
export { mebibytes, percent, seconds, summarizeReceipt } from "./receipt/summary.js";
export { writeFileAtomically } from "./receipt/write-file.js";
export { builtInKernelPackages, loadKernelPackage } from "./registry/kernel-packages.js";
export type { InstalledPlugin } from "./registry/manifest.js";
export { type BrokenPackage, PluginRegistry, type RegistryOptions } from "./registry/registry.js";
export type { FinishReason, GeneratedToken, ScoreResult } from "./workers/messages.js";
