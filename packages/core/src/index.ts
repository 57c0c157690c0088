export * from "./errors.js";
export * from "./linear-weight.js";
export * from "./mask.js";
export * from "./operations.js";
export * from "./tensor.js";
