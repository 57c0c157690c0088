import { WinnowError } from "@winnow/core";
import { type Receipt, readConfig, stepEntry, summarizeReceipt, writeFileAtomically } from "@winnow/runtime";
import type { CommandContext, ExitStatus } from "../context.js";
import { print, printJson } from "../io.js";
import { EngineHost } from "../steps/engine-host.js";
import { runStep } from "../steps/index.js";
import { needleLengthSets } from "./needle-length.js";
import { type SharedOptions, setsOf } from "./shared-options.js";

export interface RunOptions extends SharedOptions {
  readonly json?: boolean;
  readonly length?: number;
}

/** `winnow run CONFIG`: all steps of a pipeline, then the receipts to the file that the configuration names. */
export async function runCommand(file: string, options: RunOptions, { signal }: CommandContext): Promise<ExitStatus> {
  const base = readConfig(file, setsOf(options));
  const lengths = options.length === undefined ? [] : needleLengthSets(base, options.length);
  const sets = [...setsOf(options), ...lengths];
  const config = readConfig(file, sets);
  if (config.value.steps.length === 0) {
    throw new WinnowError(
      "ERR_OPTION_MISSING",
      `"${file}" has no steps to run. Add steps, e.g. - generate: { prompt: { file: prompt.txt } }.`,
    );
  }
  const receipts: Receipt[] = [];
  const write = options.json ? () => {} : (text: string) => process.stdout.write(text);
  await using host = new EngineHost(file, sets, signal);
  const output = { signal, write };
  for (const step of config.value.steps) receipts.push(...(await runStep({ config, host }, stepEntry(step), output)));
  if (options.json) printJson(receipts);
  else for (const receipt of receipts) print(summarizeReceipt(receipt));
  if (receipts.length > 0) writeReceipts(config.value.output.receipt, receipts, options);
  return 0;
}

function writeReceipts(target: string, receipts: readonly Receipt[], { json }: RunOptions): void {
  writeFileAtomically(target, `${JSON.stringify(receipts.length === 1 ? receipts[0] : receipts, null, 2)}\n`);
  if (!json) print(`Receipt: ${target}`);
}
