export * from "./fixtures.js";
export * from "./masks.js";
export * from "./operations-conformance.js";
export * from "./plugin-conformance/describe-plugin.js";
export * from "./plugin-conformance/index.js";
export * from "./seeded.js";
export * from "./sizes.js";
export * from "./tolerance.js";
