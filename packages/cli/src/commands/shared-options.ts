import { WinnowError } from "@winnow/core";
import { type ConfigDocument, stepEntry } from "@winnow/runtime";
import type { Command } from "commander";
import { integerOption } from "../io.js";

/** Options of every command that runs or explains a configuration. */
export interface SharedOptions {
  readonly set?: readonly string[];
  readonly workers?: number;
  readonly threads?: number;
}

export function addSharedOptions(command: Command): Command {
  return command
    .option("--set <path=value...>", "override a value of the configuration, e.g. --set prefill.masker=dense")
    .option("--workers <n>", "worker threads", integerOption("--workers", 1))
    .option("--threads <n>", "threads inside an operation", integerOption("--threads", 1));
}

export function setsOf({ set = [], workers, threads }: SharedOptions): string[] {
  return [
    ...set,
    ...(workers === undefined ? [] : [`workers=${workers}`]),
    ...(threads === undefined ? [] : [`threads=${threads}`]),
  ];
}

/** `--length n` changes the length of every needle prompt. */
export function needleLengthSets(config: ConfigDocument, length: number): string[] {
  const sets = config.value.steps.flatMap((step, index) => {
    const { name, settings } = stepEntry(step);
    return "prompt" in settings && settings.prompt.needle
      ? [`steps.${index}.${name}.prompt.needle.length=${length}`]
      : [];
  });
  if (sets.length === 0)
    throw new WinnowError("ERR_USAGE", "--length needs a step with a needle prompt, and this configuration has none.");
  return sets;
}
