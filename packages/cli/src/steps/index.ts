import type { Receipt, StepEntry } from "@winnow/runtime";
import { runCompare } from "./compare.js";
import { runGenerate } from "./generate.js";
import { runPerplexity } from "./perplexity.js";
import { describePruning, runPrune } from "./prune.js";
import type { StepContext } from "./step-context.js";
import type { StepOutput } from "./stream-answer.js";

/** Runs one step of a pipeline and returns a receipt per answer. Steps after a prune step run on the model that it wrote. */
export async function runStep(context: StepContext, step: StepEntry, output: StepOutput): Promise<readonly Receipt[]> {
  const { config, host } = context;
  switch (step.runner) {
    case "generate":
      return runGenerate(await host.engine(), step.settings, output);
    case "compare":
      return runCompare(context, step.settings, output);
    case "perplexity":
      await runPerplexity(await host.engine(), step.settings, output);
      return [];
    case "prune": {
      const report = await runPrune(config, step.settings, output.signal);
      output.write(`${describePruning(report)}\n`);
      await host.useModel(report.out);
      return [];
    }
  }
}
