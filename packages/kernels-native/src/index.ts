export { nativeKernels } from "./kernel-package.js";
export {
  type InstructionSet,
  instructionSets,
  loadNative,
  type NativeOperations,
  type NativeOptions,
  type NativeStatus,
  nativeStatus,
} from "./native.js";
