export { type Answers, askMissing, type Terminal } from "./ask.js";
export { type CreatedPlugin, createPlugin, type PluginRequest } from "./create-plugin.js";
export { kindNames } from "./kinds.js";
export { nextSteps } from "./next-steps.js";
