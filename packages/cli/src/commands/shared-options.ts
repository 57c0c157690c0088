import { delimiter, resolve } from "node:path";
import type { Command } from "../commander.js";
import { integerOption } from "../io.js";

/** Options of every command that runs or explains a configuration. */
export interface SharedOptions {
  readonly set?: readonly string[];
  readonly workers?: number;
  readonly threads?: number;
}

export function addSharedOptions(command: Command): Command {
  return command
    .option(
      "--allow-plugins <path...>",
      "files and folders whose code the configuration may name by path, besides its own folder and the current one",
      allowPlugins,
    )
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

/** Goes on to everything that this command starts, other processes included. */
function allowPlugins(path: string): void {
  const before = process.env.WINNOW_ALLOW_PLUGINS;
  process.env.WINNOW_ALLOW_PLUGINS = before ? `${before}${delimiter}${resolve(path)}` : resolve(path);
}
