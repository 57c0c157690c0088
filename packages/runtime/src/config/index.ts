export { ConfigDocument, configFromObject, parseConfig, readConfig, validateOptions } from "./config.js";
export type { ConfigPath } from "./path.js";
export type { Origin } from "./place.js";
export { type PipelineConfig, type PipelineInput, pipelineSchema } from "./schema.js";
export {
  type PromptSource,
  type Step,
  type StepEntry,
  type StepName,
  type StepSettings,
  stepEntry,
  stepTable,
} from "./steps.js";
