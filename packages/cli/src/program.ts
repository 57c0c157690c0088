import { createRequire } from "node:module";
import { addBenchCommands } from "./bench/options.js";
import { Command, Option } from "./commander.js";
import { addSharedOptions } from "./commands/shared-options.js";
import type { CommandContext, ExitStatus } from "./context.js";
import { integerOption } from "./io.js";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };

/** What a command does once its modules are loaded. */
export type Run = (context: CommandContext) => Promise<ExitStatus>;

/**
 * The command line with all its commands; nothing runs before its `parseAsync`, and each command then hands its work to `run`. Command modules load when they
 * are used, so that `--help` and `plugins list` stay quick.
 */
export function createProgram(run: (work: Run) => Promise<void>): Command {
  const program = new Command("winnow")
    .description("Sparse inference for transformer language models.")
    .version(version)
    .exitOverride();
  const json = ["--json", "print JSON"] as const;

  addSharedOptions(program.command("run <config>").description("run the steps of a configuration"))
    .option(...json)
    .option("--length <tokens>", "length of needle prompts", integerOption("--length", 16))
    .action((file, options) =>
      run(async (context) => (await import("./commands/run.js")).runCommand(file, options, context)),
    );

  addSharedOptions(
    program.command("explain <config>").description("print the resolved plan: every value and where it came from"),
  )
    .option(...json)
    .action((file, options) => run(async () => (await import("./commands/explain.js")).explainCommand(file, options)));

  program
    .command("schema")
    .description("write JSON Schemas with all installed plugins, for editors")
    .option("--out <folder>", "where to write", "schemas")
    .action((options) => run(async () => (await import("./commands/schema.js")).schemaCommand(options)));

  const plugins = program.command("plugins").description("installed plugins, and plugins that you write");
  plugins
    .command("list")
    .description("what is installed; runs no code of a plugin")
    .option(...json)
    .action((options) => run(async () => (await import("./commands/plugins-list.js")).listPluginsCommand(options)));
  plugins
    .command("show <plugin>")
    .description("what a plugin is, where it is installed, and its options")
    .option(...json)
    .action((plugin, options) =>
      run(async () => (await import("./commands/plugins-show.js")).showPluginCommand(plugin, options)),
    );
  plugins
    .command("check <plugin>")
    .description("load a plugin, by id, package name or path, and list everything that is wrong with its package")
    .option(...json)
    .action((plugin, options) =>
      run(async () => (await import("./commands/plugins-check.js")).checkPluginCommand(plugin, options)),
    );

  program
    .command("conformance <plugin>")
    .description("check a plugin, by id, package name or path, against the contract of its kind")
    .option(...json)
    .option("--option <name=value...>", "options to try it with", [])
    .action((plugin, options) =>
      run(async () => (await import("./commands/conformance.js")).conformanceCommand(plugin, options)),
    );

  program
    .command("new [kind] [name]")
    .description(
      "start a plugin: masker, block-scorer, kv-evict, kv-compress, kv-select, weight-sparsifier, weight-scorer, kernel",
    )
    .option("--folder <folder>", "where to write; default: the package's name")
    .option("--author <author>", "for package.json")
    .action((kind, name, options) =>
      run(async () => (await import("./commands/new.js")).newCommand(kind, name, options)),
    );

  program
    .command("verify <folder>")
    .description("compare plugins and models with recorded reference outputs")
    .option(...json)
    .option("--kernels <package>", "kernel package to verify", "native")
    .option("--threads <n>", "threads inside an operation", integerOption("--threads", 1))
    .option("--model <folder...>", "where to look for models that fixtures name", [])
    .action((folder, options) =>
      run(async () => (await import("./commands/verify.js")).verifyCommand(folder, options)),
    );

  program
    .command("inspect <model>")
    .description("zeros, N:M patterns and bytes of every matrix of a model, and which formats would profit")
    .option(...json)
    .option("--layers <list>", "layers to look at, such as 0,2-4")
    .option("--histogram", "weights by magnitude")
    .action((model, options) =>
      run(async (context) => (await import("./commands/inspect.js")).inspectCommand(model, options, context)),
    );

  addSharedOptions(
    program
      .command("eval")
      .description("measure quality")
      .command("perplexity <config>")
      .description("perplexity of a text under a configuration, or of a model folder"),
  )
    .option(...json)
    .option("--text <file>", "text to score; default: a built-in book")
    .option("--length <tokens>", "tokens of a window", integerOption("--length", 2))
    .option("--stride <tokens>", "distance of windows; default: their length", integerOption("--stride", 1))
    .option("--windows <n>", "at most so many windows", integerOption("--windows", 1))
    .option("--sparse <which>", "tokens that use weights which choose what to skip: none, tenth, half, all or decode")
    .option(
      "--context <tokens>",
      "with --sparse decode: tokens that are prefilled and do not count",
      integerOption("--context", 1),
    )
    .option("--dense", "without maskers, KV pruners and selections")
    .action((path, options) =>
      run(async (context) => (await import("./commands/eval.js")).evalPerplexityCommand(path, options, context)),
    );

  addSharedOptions(program.command("tune <plugin> <config>").description("search a plugin's options on a model"))
    .option(...json)
    .option("--length <tokens>", "length of calibration prompts", integerOption("--length", 16), 8192)
    .option("--prompts <n>", "number of calibration prompts", integerOption("--prompts", 1), 2)
    .option("--out <folder>", "where to write result files", "runs")
    .option("--option <name=value...>", "settings of the search")
    .action((plugin, file, options) =>
      run(async (context) => (await import("./commands/tune.js")).tuneCommand(plugin, file, options, context)),
    );

  addSharedOptions(
    program.command("prune <config>").description("run the sparsifiers of a configuration, write a model"),
  )
    .requiredOption("--out <folder>", "folder of the new model; an interrupted run goes on where it stopped")
    .addOption(
      new Option("--form <form>", "plain loads anywhere, sparse is the compact format of Winnow")
        .choices(["plain", "sparse"])
        .default("plain"),
    )
    .option("--overwrite", "replace a model folder that is there")
    .option(...json)
    .action((file, options) =>
      run(async (context) => (await import("./commands/prune.js")).pruneCommand(file, options, context)),
    );

  addBenchCommands(program, (work) => run(async (context) => work(await import("./commands/bench.js"), context)));

  return program;
}
