import type { Receipt, StepSettings } from "@winnow/runtime";
import { notice } from "../io.js";
import { resolvePrompt } from "../prompt-source.js";
import { comparisonTable } from "./comparison-table.js";
import type { StepContext } from "./step-context.js";
import { type StepOutput, streamAnswer } from "./stream-answer.js";

type Run = Receipt["variant"];

/**
 * One prompt without and with what the configuration skips, on the same kernels in the same process, in turns; prints the answers of the first round and a table.
 * Returns the receipts in order of time.
 */
export async function runCompare(
  { config, host }: StepContext,
  settings: StepSettings<"compare">,
  output: StepOutput,
): Promise<Receipt[]> {
  const { prompt: source, rounds, runs = defaultRuns(config.value.weights.length > 0), ...generation } = settings;
  const engine = await host.engine();
  const { prompt, needle } = await resolvePrompt(engine, source, generation.maxNewTokens, output.signal);
  if (needle)
    notice(
      `Prompt: ${needle.ids.length} tokens, needle at token ${needle.needlePosition}; the answer should contain ${needle.answer}.`,
    );
  if (engine.plan.weights.sparsifiers.length > 0 && runs.includes("dense"))
    notice("The dense run uses the weights as the sparsifiers left them, without selections.");
  const receipts: Receipt[] = [];
  for (let round = 0; round < rounds; round++) {
    const quiet = { ...output, write: () => {} };
    for (const run of round % 2 === 0 ? runs : runs.toReversed()) {
      const runner = run === "unpruned" ? await host.unprunedEngine() : engine;
      if (round === 0) output.write(`${run}: `);
      const options = { ...generation, dense: run !== "configured" };
      const receipt = await streamAnswer(runner, prompt, options, round === 0 ? output : quiet);
      receipts.push({ ...receipt, variant: run });
    }
  }
  output.write(
    `\n${comparisonTable(
      runs.map((run) => receipts.filter(({ variant }) => variant === run)),
      needle,
    )}\n`,
  );
  return receipts;
}

function defaultRuns(prunes: boolean): readonly Run[] {
  return prunes ? ["unpruned", "dense", "configured"] : ["dense", "configured"];
}
