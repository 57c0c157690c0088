import { readConfig } from "@winnow/runtime";
import type { CommandContext, ExitStatus } from "../context.js";
import { print, printJson } from "../io.js";
import { describePruning, runPrune } from "../steps/prune.js";
import { type SharedOptions, setsOf } from "./shared-options.js";

export interface PruneCommandOptions extends SharedOptions {
  readonly json?: boolean;
  readonly out: string;
  readonly form: "plain" | "sparse";
  readonly overwrite?: boolean;
}

/** `winnow prune CONFIG`: the sparsifiers of a configuration over its model, into a new model folder. */
export async function pruneCommand(
  file: string,
  options: PruneCommandOptions,
  { signal }: CommandContext,
): Promise<ExitStatus> {
  const { out, form, overwrite = false, json = false } = options;
  const report = await runPrune(readConfig(file, setsOf(options)), { out, form, overwrite }, signal);
  if (json) printJson(report);
  else print(describePruning(report));
  return 0;
}
