import { WinnowError } from "@winnow/core/errors";
import type { WeightShape } from "@winnow/evaluate/bench";
import { type Command, Option } from "../commander.js";
import { addSharedOptions, type SharedOptions } from "../commands/shared-options.js";
import { integerOption } from "../io.js";
import type { Start } from "./options.js";

interface JsonOption {
  readonly json?: boolean;
}

export interface WeightsCommandOptions extends JsonOption {
  readonly shapes: readonly WeightShape[];
  readonly threads: readonly number[];
  readonly workingSet: number;
  readonly kernels: string;
  readonly repeat: number;
  readonly warmUp: number;
}

export interface DecodeWeightsCommandOptions extends JsonOption {
  readonly parameters: number;
  readonly tokens: number;
  readonly threads: number;
  readonly tokenizer: string;
  readonly repeat: number;
}

export interface QualityCommandOptions extends JsonOption, SharedOptions {
  readonly model: string;
  readonly methods?: readonly string[];
  /** Parsed by the benchmark, which loads when it runs. */
  readonly sparsities?: readonly string[];
  readonly selected?: readonly number[];
  readonly text?: readonly string[];
  readonly length: number;
  readonly windows: number;
  readonly needles: number;
  readonly needleLength: number;
  readonly csv?: string;
  readonly resume?: boolean;
}

export interface PruneBenchCommandOptions extends JsonOption {
  readonly hidden: number;
  readonly intermediate: number;
  readonly sequences: number;
  readonly length: number;
  readonly threads: number;
  readonly tokenizer: string;
  readonly layers: number;
  readonly tokens: number;
  readonly methods?: readonly string[];
}

export const SHIPPED_MODEL = "models/winnow-16m-32k";

/** `winnow bench NAME` for weights. */
export function addWeightBenchCommands(bench: Command, start: Start): void {
  weightsOptions(bench.command("weights"))
    .description("one-token products with weights in every format, against dense bf16, dense int8 and ONNX int4")
    .action((options) => start((commands) => commands.benchWeightsCommand(options)));
  decodeWeightsOptions(bench.command("decode-weights"))
    .description("decoding a made model whose weights are dense, sparse and in 8 bits")
    .action((options) => start((commands, context) => commands.benchDecodeWeightsCommand(options, context)));
  qualityOptions(bench.command("quality"))
    .description("perplexity and needles under methods that make weights sparse")
    .action((options) => start((commands, context) => commands.benchQualityCommand(options, context)));
  pruneOptions(bench.command("prune"))
    .description("time and memory of pruning, projected to a whole model")
    .action((options) => start((commands, context) => commands.benchPruneCommand(options, context)));
}

function weightsOptions(command: Command): Command {
  const shapes = ["4096x4096", "14336x4096"];
  return command
    .option("--json", "print JSON")
    .addOption(
      new Option("--shapes <out x in,...>", "output and input features")
        .argParser((text) => text.split(",").map(shapeOf))
        .default(shapes.map(shapeOf), shapes.join(",")),
    )
    .addOption(
      new Option("--threads <n,n,...>", "threads inside an operation, measured one after the other")
        .argParser((text) => text.split(",").map(integerOption("--threads", 1)))
        .default([1, 2], "1,2"),
    )
    .option("--working-set <MiB>", "that a round of each format reads at least", integerOption("--working-set", 1), 320)
    .option("--kernels <package>", "kernel package that runs our formats", "native")
    .option("--repeat <n>", "measured rounds", integerOption("--repeat", 1), 15)
    .option("--warm-up <n>", "rounds that are not measured", integerOption("--warm-up", 0), 2);
}

function decodeWeightsOptions(command: Command): Command {
  return command
    .option("--json", "print JSON")
    .option(
      "--parameters <n>",
      "size of the made model, such as 5e8",
      integerOption("--parameters", 1_000_000),
      500_000_000,
    )
    .option("--tokens <n>", "timed tokens of a run", integerOption("--tokens", 1), 32)
    .option("--threads <n>", "threads inside an operation", integerOption("--threads", 1), 2)
    .option("--tokenizer <folder>", "model that the tokenizer is taken from", SHIPPED_MODEL)
    .option("--repeat <n>", "measured rounds", integerOption("--repeat", 1), 2);
}

function qualityOptions(command: Command): Command {
  return addSharedOptions(command)
    .option("--json", "print JSON")
    .option("--model <folder>", "model to measure", SHIPPED_MODEL)
    .option("--methods <name,...>", "default: all", (text) => text.split(","))
    .option("--selected <s,...>", "shares for methods that choose while they run; default: 0.25,0.4,0.5", sharesOf)
    .option("--text <file...>", "texts to score; default: a built-in book")
    .option("--length <tokens>", "tokens of a window", integerOption("--length", 2), 2048)
    .option("--windows <n>", "windows of each text at most", integerOption("--windows", 1), 32)
    .option("--needles <n>", "needle prompts; 0: none", integerOption("--needles", 0), 10)
    .option("--needle-length <tokens>", "length of needle prompts", integerOption("--needle-length", 64), 8192)
    .option("--csv <file>", "append results to this file as they come")
    .option("--resume", "skip what the file holds already")
    .option("--sparsities <s,...>", "shares and N:M patterns for pruners; default: 0.3,0.5,0.6,0.7,2:4", (text) =>
      text.split(","),
    );
}

function pruneOptions(command: Command): Command {
  return command
    .option("--json", "print JSON")
    .option("--hidden <n>", "width of the model", integerOption("--hidden", 64), 4096)
    .option("--intermediate <n>", "width of its MLP", integerOption("--intermediate", 64), 11008)
    .option("--sequences <n>", "calibration sequences of the longer runs", integerOption("--sequences", 2), 3)
    .option("--length <tokens>", "tokens of each", integerOption("--length", 2), 2048)
    .option("--threads <n>", "threads inside an operation", integerOption("--threads", 1), 2)
    .option("--tokenizer <folder>", "model that the tokenizer is taken from", SHIPPED_MODEL)
    .option("--methods <name,...>", "wanda, sparsegpt; default: both", (text) => text.split(","))
    .option("--layers <n>", "of the projected model", integerOption("--layers", 1), 32)
    .option("--tokens <n>", "calibration tokens of the projected run", integerOption("--tokens", 1), 128 * 2048);
}

/** `4096x11008`: output, then input features. */
export function shapeOf(text: string): WeightShape {
  const match = /^([1-9]\d{0,5})x([1-9]\d{0,5})$/.exec(text);
  if (match) return { outFeatures: Number(match[1]), inFeatures: Number(match[2]) };
  throw new WinnowError(
    "ERR_USAGE",
    `Option --shapes must be output x input features, each 1..999999, e.g. 4096x11008; got "${text}".`,
  );
}

/** Shares between 0 and 1, separated by commas. */
export function sharesOf(text: string): number[] {
  return text.split(",").map((part) => {
    const share = Number(part);
    if (part.trim() !== "" && share > 0 && share < 1) return share;
    throw new WinnowError(
      "ERR_USAGE",
      `Option --selected must be shares between 0 and 1, e.g. 0.4,0.5; got "${text}".`,
    );
  });
}
