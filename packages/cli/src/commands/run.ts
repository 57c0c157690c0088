import { WinnowError } from "@winnow/core";
import {
  createEngine,
  groupFallbacks,
  type Receipt,
  readConfig,
  stepEntry,
  summarizeReceipt,
  writeFileAtomically,
} from "@winnow/runtime";
import type { CommandContext, ExitStatus } from "../context.js";
import { notice, print, printJson, startProgress } from "../io.js";
import { runStep } from "../steps/index.js";
import { needleLengthSets, type SharedOptions, setsOf } from "./shared-options.js";

export interface RunOptions extends SharedOptions {
  readonly json?: boolean;
  readonly length?: number;
}

/** `winnow run CONFIG`: all steps of a pipeline, then the receipts to the file that the configuration names. */
export async function runCommand(file: string, options: RunOptions, { signal }: CommandContext): Promise<ExitStatus> {
  const base = readConfig(file, setsOf(options));
  const config =
    options.length === undefined
      ? base
      : readConfig(file, [...setsOf(options), ...needleLengthSets(base, options.length)]);
  if (config.value.steps.length === 0) {
    throw new WinnowError(
      "ERR_OPTION_MISSING",
      `"${file}" has no steps to run. Add steps, e.g. - generate: { prompt: { file: prompt.txt } }.`,
    );
  }
  const loading = startProgress("loading");
  await using engine = await createEngine(config, { signal, onProgress: loading.update }).finally(() => loading.stop());
  for (const { wanted, reason, replacements } of groupFallbacks(engine.plan.fallbacks))
    notice(`Note: ${wanted} kernels cannot run: ${reason} Instead: ${replacements}.`);
  const receipts: Receipt[] = [];
  const write = options.json ? () => {} : (text: string) => process.stdout.write(text);
  for (const step of config.value.steps) receipts.push(...(await runStep(engine, stepEntry(step), { signal, write })));

  const target = config.value.output.receipt;
  writeFileAtomically(target, `${JSON.stringify(receipts.length === 1 ? receipts[0] : receipts, null, 2)}\n`);
  if (options.json) printJson(receipts);
  else {
    for (const receipt of receipts) print(summarizeReceipt(receipt));
    print(`Receipt: ${target}`);
  }
  return 0;
}
