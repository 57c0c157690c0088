export * from "./fixtures.js";
export * from "./masks.js";
export * from "./operations-conformance.js";
export * from "./seeded.js";
export * from "./sizes.js";
export * from "./tolerance.js";
