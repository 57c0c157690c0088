import type { Engine, Receipt, StepEntry } from "@winnow/runtime";
import { runCompare } from "./compare.js";
import { runGenerate } from "./generate.js";
import type { StepOutput } from "./stream-answer.js";

/** Runs one step of a pipeline and returns a receipt per run. */
export function runStep(engine: Engine, step: StepEntry, output: StepOutput): Promise<Receipt[]> {
  switch (step.runner) {
    case "generate":
      return runGenerate(engine, step.settings, output);
    case "compare":
      return runCompare(engine, step.settings, output);
  }
}
