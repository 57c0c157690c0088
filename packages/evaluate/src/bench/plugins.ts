import { openModelFolder, readModelConfig } from "@winnow/models";
import type { InstalledPlugin } from "@winnow/runtime";
import { outputOf } from "./child-output.js";
import { type MachineConditions, machineConditions } from "./conditions.js";
import { differenceOf, interleave, type Rounds, type Spread } from "./measure.js";
import { measurePluginLoads, type PluginLoadRow } from "./plugin-load.js";

export interface PluginsBenchOptions extends Rounds {
  /** Program and arguments in front of `plugins list`: how to start this command line again. */
  readonly winnow: readonly string[];
  readonly plugins: readonly InstalledPlugin[];
  /** Model folder; plugins are made for its shape. */
  readonly model: string;
}

export interface PluginsBench {
  readonly bench: "plugins";
  readonly conditions: MachineConditions;
  /** Milliseconds of whole processes: Node.js with an empty program, `winnow plugins list`, and what the second takes longer, round by round. */
  readonly process: { readonly node: Spread; readonly list: Spread; readonly listOverNode: Spread };
  readonly rows: readonly PluginLoadRow[];
  /** What medians should stay under, in milliseconds: `process.list`, and `loadMs` of each row. */
  readonly targets: { readonly list: number; readonly load: number };
}

const targets = { list: 150, load: 30 };

/** Share of the progress bar that the processes take. */
const PROCESSES = 0.1;

/** What plugins cost before they do anything: the time to list them, which reads manifests only, and what loading each adds to a worker. */
export async function benchPlugins(options: PluginsBenchOptions): Promise<PluginsBench> {
  const { layers, queryHeads, kvHeads, headDim, contextLength } = readModelConfig(openModelFolder(options.model));
  const shape = { layers, queryHeads, kvHeads, headDim, contextLength };
  const processes = await measureProcesses({
    ...options,
    onProgress: (share, label) => options.onProgress?.(PROCESSES * share, label),
  });
  const rows = await measurePluginLoads(options.plugins, shape, {
    ...options,
    onProgress: (share, label) => options.onProgress?.(PROCESSES + (1 - PROCESSES) * share, label),
  });
  return { bench: "plugins", conditions: machineConditions(), process: processes, rows, targets };
}

async function measureProcesses(options: PluginsBenchOptions): Promise<PluginsBench["process"]> {
  const [program, ...start] = options.winnow;
  const run = (command: string, args: readonly string[]) => () =>
    outputOf(command, args, (status) => failure([command, ...args], status), options.signal);
  const { node, list } = await interleave(
    { node: run(process.execPath, ["-e", "0"]), list: run(program, [...start, "plugins", "list"]) },
    options,
  );
  return { node, list, listOverNode: differenceOf(list, node) };
}

function failure(words: readonly string[], status: number | null): string {
  return `Cannot measure: "${words.join(" ")}" ended with status ${status}. Run it alone to see why.`;
}
