export { intersectMasks, unionMasks } from "./mask-combine.js";
export { lowerMask } from "./mask-lowering.js";
export { keeps, passesBand } from "./mask-predicate.js";
export { type MaskStatistics, maskStatistics } from "./mask-statistics.js";
export { validateMask } from "./mask-validate.js";
export { type VerticalSlashBlocks, verticalSlashBlocks } from "./mask-vertical-slash.js";
