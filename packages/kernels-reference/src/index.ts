export { referenceKernels } from "./kernel-package.js";
export { createReference } from "./reference.js";
