export { defaultHaystack, readSentences, splitSentences } from "./needle/haystack.js";
export {
  answersNeedle,
  buildNeedlePrompt,
  type Encode,
  type NeedleOptions,
  type NeedlePrompt,
} from "./needle/needle-prompt.js";
export {
  measurePerplexity,
  type PerplexityHooks,
  type PerplexityResult,
} from "./perplexity/perplexity.js";
export { type Window, windowsOf } from "./perplexity/windows.js";
export { exitStatus, type FixtureReport, type Verdict, type VerifyReport } from "./verify/verdict.js";
export { type VerifyOptions, verifyFolder } from "./verify/verify.js";
