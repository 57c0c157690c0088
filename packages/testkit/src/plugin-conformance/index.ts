export { type ConformanceCheck, ConformanceError } from "./check.js";
export { conformanceChecks } from "./checks.js";
export { defaultKernels, type KernelVariant } from "./kernels.js";
export { type CheckResult, runChecks } from "./run-checks.js";
export {
  sampleBlocks,
  sampleElements,
  sampleEvict,
  sampleSelect,
  sampleSmallest,
  sampleWindow,
} from "./sample-plugins.js";
export type { ConformanceSubject, ElementOracle, KeptOracle, MaskOracle, OracleOf, WeightOracle } from "./subject.js";
