import { WinnowError } from "@winnow/core/errors";
import type { AttentionShape } from "@winnow/evaluate/bench";
import { type Command, Option } from "../commander.js";
import { addSharedOptions, type SharedOptions } from "../commands/shared-options.js";
import type { CommandContext, ExitStatus } from "../context.js";
import { integerOption } from "../io.js";
import { addWeightBenchCommands, SHIPPED_MODEL } from "./weight-options.js";

interface RoundOptions {
  readonly json?: boolean;
  readonly repeat: number;
}

export interface KernelBenchOptions extends RoundOptions {
  readonly threads: number;
  readonly warmUp: number;
  readonly shape: readonly AttentionShape[];
  readonly lengths: readonly number[];
}

export interface EstimateCommandOptions extends KernelBenchOptions {
  readonly masker: string;
  readonly option?: readonly string[];
}

export interface EngineBenchOptions extends SharedOptions, RoundOptions {
  readonly config: string;
  readonly length: number;
  readonly baseline?: "onnx";
}

export interface PrefillCommandOptions extends EngineBenchOptions {
  readonly prompts: number;
  readonly densePrompts?: number;
  readonly baselinePrompts: number;
}

export interface DecodeCommandOptions extends EngineBenchOptions {
  readonly tokens: number;
}

export interface ResponsivenessCommandOptions extends EngineBenchOptions {
  readonly aborts: number;
}

export interface PluginsBenchCommandOptions extends RoundOptions {
  readonly warmUp: number;
  readonly plugins?: readonly string[];
  readonly model: string;
}

type Commands = typeof import("../commands/bench.js");
export type Start = (work: (commands: Commands, context: CommandContext) => Promise<ExitStatus>) => Promise<void>;

/** `winnow bench NAME`: one subcommand for each benchmark. `start` loads the commands when one of them runs. */
export function addBenchCommands(program: Command, start: Start): void {
  const bench = program.command("bench").description("measure speed, always as a ratio to a dense baseline");
  const smallShape = { queryHeads: 6, kvHeads: 2, headDim: 64 };
  const largeShape = { queryHeads: 8, kvHeads: 2, headDim: 128 };

  kernelOptions(bench.command("attention"), [smallShape, largeShape], [4096, 8192, 32768])
    .description("dense attention over a prompt: native kernels and ONNX Runtime")
    .action((options) => start((commands) => commands.benchAttentionCommand(options)));
  kernelOptions(bench.command("masks"), [smallShape], [32768])
    .description("attention time with masks of known density")
    .action((options) => start((commands) => commands.benchMasksCommand(options)));
  kernelOptions(bench.command("estimate"), [smallShape], [32768])
    .description("time to choose masks, as a share of dense attention")
    .option("--masker <plugin>", "masker or block scorer", "minference")
    .option("--option <name=value...>", "options of the plugin")
    .action((options) => start((commands) => commands.benchEstimateCommand(options)));

  engineOptions(bench.command("prefill"))
    .description("needle prompts with the configured plugins and dense")
    .option("--prompts <n>", "needle prompts, depths spread over the prompt", integerOption("--prompts", 1), 20)
    .option(
      "--dense-prompts <n>",
      "how many of them also run dense (default: all)",
      integerOption("--dense-prompts", 0),
    )
    .addOption(baselineOption())
    .option("--baseline-prompts <n>", "how many of them also run there", integerOption("--baseline-prompts", 1), 1)
    .action((options) => start((commands, context) => commands.benchPrefillCommand(options, context)));
  repeatOption(engineOptions(bench.command("decode")), 3)
    .description("decoding with the whole cache and with the configured KV pruner")
    .option("--tokens <n>", "tokens to generate", integerOption("--tokens", 2), 64)
    .addOption(baselineOption())
    .action((options) => start((commands, context) => commands.benchDecodeCommand(options, context)));
  repeatOption(engineOptions(bench.command("memory")), 1)
    .description("peak memory of one prompt in a fresh process")
    .action((options) => start((commands, context) => commands.benchMemoryCommand(options, context)));
  repeatOption(engineOptions(bench.command("responsiveness")), 3)
    .description("event-loop delays while prompts run, and the time an abort takes")
    .option("--aborts <n>", "prompts to abort at random moments", integerOption("--aborts", 1), 8)
    .action((options) => start((commands, context) => commands.benchResponsivenessCommand(options, context)));

  pluginsOptions(bench.command("plugins"))
    .description("time to list plugins, and to load each of them in a worker")
    .action((options) => start((commands, context) => commands.benchPluginsCommand(options, context)));
  addWeightBenchCommands(bench, start);
}

function kernelOptions(command: Command, shapes: readonly AttentionShape[], lengths: readonly number[]): Command {
  return repeatOption(command, 3)
    .option("--json", "print JSON")
    .option("--warm-up <n>", "rounds that are not measured", integerOption("--warm-up", 0), 1)
    .option("--threads <n>", "threads inside an operation", integerOption("--threads", 1), 2)
    .addOption(
      new Option("--shape <h,hKv,d...>", "query heads, KV heads, head dimension")
        .argParser(collectShapes())
        .default(shapes, shapes.map((shape) => Object.values(shape).join(",")).join(" ")),
    )
    .addOption(
      new Option("--lengths <n,n,...>", "tokens").argParser(integers("--lengths")).default(lengths, lengths.join(",")),
    );
}

function engineOptions(command: Command): Command {
  return addSharedOptions(command)
    .option("--json", "print JSON")
    .option("--config <file>", "configuration", "configs/quickstart.yaml")
    .option("--length <tokens>", "length of needle prompts", integerOption("--length", 64), 32768);
}

function pluginsOptions(command: Command): Command {
  return repeatOption(command, 5)
    .option("--json", "print JSON")
    .option("--warm-up <n>", "rounds that are not measured", integerOption("--warm-up", 0), 1)
    .option("--plugins <id,...>", "default: all that are installed", (text) => text.split(","))
    .option("--model <folder>", "model whose shape plugins are made for", SHIPPED_MODEL);
}

function repeatOption(command: Command, fallback: number): Command {
  return command.option("--repeat <n>", "measured rounds", integerOption("--repeat", 1), fallback);
}

function baselineOption(): Option {
  return new Option("--baseline <runtime>", "also run the model wholly through another runtime").choices(["onnx"]);
}

/** Whole numbers separated by commas. */
function integers(name: string): (text: string) => number[] {
  return (text) => text.split(",").map(integerOption(name, 1));
}

/** Every `--shape` adds one; the first replaces the default. */
function collectShapes(): (text: string) => AttentionShape[] {
  const shapes: AttentionShape[] = [];
  return (text) => {
    const [queryHeads, kvHeads, headDim, ...rest] = integers("--shape")(text);
    if (headDim === undefined || rest.length > 0 || queryHeads % kvHeads !== 0) {
      throw new WinnowError(
        "ERR_USAGE",
        `Option --shape must be query heads, KV heads and head dimension, query heads a multiple of KV heads, e.g. 6,2,64; got "${text}".`,
      );
    }
    shapes.push({ queryHeads, kvHeads, headDim });
    return shapes;
  };
}
