import { createRequire } from "node:module";
import type * as commander from "commander";

/**
 * Commander as the CommonJS module that it is. An `import` of it would make Node.js start its parser of CommonJS exports first, which takes longer than all that
 * `winnow plugins list` does.
 */
export const { Command, CommanderError, Option }: typeof commander = createRequire(import.meta.url)("commander");
export type Command = commander.Command;
export type Option = commander.Option;
