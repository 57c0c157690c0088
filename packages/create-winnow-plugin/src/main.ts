import { WinnowError } from "@winnow/core";
import { Command, CommanderError } from "commander";
import { askMissing } from "./ask.js";
import { createPlugin } from "./create-plugin.js";
import { kindNames } from "./kinds.js";
import { nextSteps } from "./next-steps.js";

interface Flags {
  readonly kind?: string;
  readonly folder?: string;
  readonly author?: string;
  readonly language: string;
}

const program = new Command("create-winnow-plugin")
  .description("Start a plugin for Winnow.")
  .argument("[name]", "kebab-case id, with an npm scope if you like: my-masker, @acme/my-masker")
  .option("--kind <kind>", kindNames.join(", "))
  .option("--folder <folder>", "where to write; default: the package's name")
  .option("--author <author>", "for package.json")
  .option("--language <language>", "ts", "ts")
  .exitOverride()
  .action(async (name: string | undefined, flags: Flags) => {
    const plugin = createPlugin({ ...flags, ...(await askMissing({ ...flags, name })) });
    process.stdout.write(`${nextSteps(plugin)}\n`);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** 2: wrong usage, as the `winnow` command has it. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof WinnowError)) throw error;
  process.stderr.write(`${error}\n`);
  return 2;
}
