import { pluginKinds, WinnowError } from "@winnow/core";
import type { BenchHooks } from "@winnow/evaluate/bench";
import * as benches from "@winnow/evaluate/bench";
import { createEngine, type Engine, PluginRegistry, readConfig } from "@winnow/runtime";
import type {
  DecodeCommandOptions,
  EngineBenchOptions,
  EstimateCommandOptions,
  KernelBenchOptions,
  PluginsBenchCommandOptions,
  PrefillCommandOptions,
  ResponsivenessCommandOptions,
} from "../bench/options.js";
import { pluginsTable } from "../bench/plugins-table.js";
import * as tables from "../bench/tables.js";
import type {
  DecodeWeightsCommandOptions,
  PruneBenchCommandOptions,
  QualityCommandOptions,
  WeightsCommandOptions,
} from "../bench/weight-options.js";
import * as weightTables from "../bench/weight-tables.js";
import type { CommandContext, ExitStatus } from "../context.js";
import { notice, print, printJson, startProgress } from "../io.js";
import { parseAssignments } from "./assignments.js";
import { setsOf } from "./shared-options.js";

/** How to start this command line again. */
const winnow = [process.execPath, process.argv[1]];

const dtypes = ["f32", "bf16"] as const;

/** For benchmarks of kernels on this thread, where a handler would wait for them: without a signal, Ctrl-C ends the process, and nothing needs to be put in order. */
const onThisThread: Partial<CommandContext> = {};

export function benchAttentionCommand(options: KernelBenchOptions): Promise<ExitStatus> {
  return show(options, onThisThread, tables.attentionTable, (hooks) =>
    benches.benchAttention({ ...options, shapes: options.shape, ...hooks }),
  );
}

export function benchMasksCommand(options: KernelBenchOptions): Promise<ExitStatus> {
  return show(options, onThisThread, tables.masksTable, (hooks) =>
    benches.benchMasks({ ...options, ...hooks, dtypes, shape: options.shape[0], length: options.lengths[0] }),
  );
}

export async function benchEstimateCommand(options: EstimateCommandOptions): Promise<ExitStatus> {
  const plugin = await new PluginRegistry({ folder: process.cwd() }).load(options.masker);
  const pluginOptions = parseAssignments(options.option ?? []);
  return show(options, onThisThread, tables.estimateTable, (hooks) =>
    benches.benchEstimate({ ...options, ...hooks, plugin, options: pluginOptions, dtypes, shape: options.shape[0] }),
  );
}

export function benchPrefillCommand(options: PrefillCommandOptions, context: CommandContext): Promise<ExitStatus> {
  return show(options, options.baseline ? onThisThread : context, tables.prefillTable, async (hooks) => {
    await using engine = await openEngine(options, hooks);
    const densePrompts = options.densePrompts ?? options.prompts;
    const baselinePrompts = options.baseline ? options.baselinePrompts : 0;
    return await benches.benchPrefill(engine, { ...options, ...hooks, densePrompts, baselinePrompts });
  });
}

export function benchDecodeCommand(options: DecodeCommandOptions, context: CommandContext): Promise<ExitStatus> {
  return show(options, options.baseline ? onThisThread : context, tables.decodeTable, async (hooks) => {
    await using pruned = await openEngine(options, hooks);
    await using full = await openEngine(options, hooks, ["decode={kvPruner: none}"]);
    return await benches.benchDecode({ full, pruned }, { ...options, ...hooks, baseline: Boolean(options.baseline) });
  });
}

export function benchMemoryCommand(options: EngineBenchOptions, context: CommandContext): Promise<ExitStatus> {
  return show(options, context, tables.memoryTable, (hooks) =>
    benches.benchMemory({ ...options, ...hooks, winnow, sets: engineSets(options) }),
  );
}

export function benchResponsivenessCommand(
  options: ResponsivenessCommandOptions,
  context: CommandContext,
): Promise<ExitStatus> {
  return show(options, context, tables.responsivenessTable, async (hooks) => {
    await using engine = await openEngine(options, hooks);
    return await benches.benchResponsiveness(engine, { ...options, ...hooks });
  });
}

export async function benchPluginsCommand(
  options: PluginsBenchCommandOptions,
  context: CommandContext,
): Promise<ExitStatus> {
  const registry = new PluginRegistry({ folder: process.cwd() });
  const ids = options.plugins ?? registry.list().map(({ id }) => id);
  const plugins = await Promise.all(ids.map((id) => registry.resolve(id, pluginKinds)));
  return show(options, context, pluginsTable, (hooks) =>
    benches.benchPlugins({ ...options, ...hooks, winnow, plugins }),
  );
}

export function benchWeightsCommand(options: WeightsCommandOptions): Promise<ExitStatus> {
  const workingSet = options.workingSet * 2 ** 20;
  return show(options, onThisThread, weightTables.weightsTable, (hooks) =>
    benches.benchWeights({ ...options, ...hooks, workingSet }),
  );
}

export function benchDecodeWeightsCommand(
  options: DecodeWeightsCommandOptions,
  context: CommandContext,
): Promise<ExitStatus> {
  return show(options, context, weightTables.decodeWeightsTable, (hooks) =>
    benches.benchDecodeWeights({ ...options, ...hooks }),
  );
}

export function benchQualityCommand(options: QualityCommandOptions, context: CommandContext): Promise<ExitStatus> {
  const { methods = benches.qualityMethods, sparsities, selected = benches.selectedSparsities } = options;
  if (options.resume && options.csv === undefined)
    throw new WinnowError("ERR_USAGE", "--resume needs --csv FILE, the file of the earlier run.");
  const settings = sparsities?.map(benches.parseQualitySetting) ?? benches.defaultQualitySettings;
  const cells = benches.qualityCells(methods, settings, selected);
  return show(options, context, weightTables.qualityTable, (hooks) =>
    benches.benchQuality({
      ...options,
      ...hooks,
      cells,
      texts: options.text ?? [undefined],
      sets: setsOf(options),
      resume: options.resume === true,
      onResult: (result, done, secondsLeft) => noticeResult(weightTables.resultLine(result, done, secondsLeft)),
    }),
  );
}

export function benchPruneCommand(options: PruneBenchCommandOptions, context: CommandContext): Promise<ExitStatus> {
  const {
    hidden: hiddenSize,
    intermediate: intermediateSize,
    layers,
    tokens,
    methods = benches.pruneMethods,
  } = options;
  const sizes = { hiddenSize, intermediateSize, projected: { layers, tokens }, methods };
  return show(options, context, weightTables.pruneTable, (hooks) =>
    benches.benchPrune({ ...options, ...hooks, ...sizes }),
  );
}

/** A terminal shows a progress bar instead. */
function noticeResult(line: string): void {
  if (!process.stderr.isTTY) notice(line);
}

async function show<Result>(
  options: { readonly json?: boolean },
  { signal }: Partial<CommandContext>,
  describe: (result: Result) => string,
  measure: (hooks: BenchHooks) => Promise<Result>,
): Promise<ExitStatus> {
  const progress = startProgress("bench");
  const result = await measure({ ...(signal && { signal }), onProgress: progress.update }).finally(() =>
    progress.stop(),
  );
  if (options.json) printJson(result);
  else print(describe(result));
  return 0;
}

function openEngine(
  options: EngineBenchOptions,
  { signal }: BenchHooks,
  sets: readonly string[] = [],
): Promise<Engine> {
  return createEngine(readConfig(options.config, [...engineSets(options), ...sets]), {
    ...(signal && { signal }),
    onNotice: notice,
  });
}

function engineSets({ threads = 2, ...options }: EngineBenchOptions): string[] {
  return setsOf({ ...options, threads });
}
