import type { Receipt } from "@winnow/runtime";
import { outputOf } from "./child-output.js";
import { type BenchHooks, type Rounds, ratioOf, roundOrder, type Spread, spreadOf } from "./measure.js";

export interface MemoryBenchOptions extends BenchHooks, Pick<Rounds, "repeat"> {
  /** Program and arguments in front of `run`: how to start this command line again. */
  readonly winnow: readonly string[];
  readonly config: string;
  /** `path=value` over the configuration. */
  readonly sets: readonly string[];
  readonly length: number;
}

export type MemoryVariant = "dense" | "configured";

export interface MemoryBench {
  readonly bench: "memory";
  readonly length: number;
  /** Peak resident memory of a process that loads the model and runs one prompt. */
  readonly peakBytes: Readonly<Record<MemoryVariant, Spread>>;
  /** KV cache after the prompt. */
  readonly cacheBytes: Readonly<Record<MemoryVariant, number>>;
  /** Configured / dense. */
  readonly peakRatio: Spread;
  readonly receipts: Readonly<Record<MemoryVariant, Receipt>>;
}

/** Peak memory of one prompt, dense and with the configured plugins, each in a fresh process: memory that a run gives back stays with its process. */
export async function benchMemory(options: MemoryBenchOptions): Promise<MemoryBench> {
  const receipts: Record<MemoryVariant, Receipt[]> = { dense: [], configured: [] };
  const names = ["dense", "configured"] as const;
  for (let round = 0; round < options.repeat; round++) {
    for (const [index, name] of roundOrder(names, round).entries()) {
      options.onProgress?.((2 * round + index) / (2 * options.repeat), `round ${round + 1}, ${name}`);
      receipts[name].push(await runInChild(name, options));
    }
  }
  const peaks = (name: MemoryVariant) => spreadOf(receipts[name].map(({ memory }) => memory.peakBytes));
  const last = { dense: receipts.dense.at(-1)!, configured: receipts.configured.at(-1)! };
  const peakBytes = { dense: peaks("dense"), configured: peaks("configured") };
  return {
    bench: "memory",
    length: options.length,
    peakBytes,
    cacheBytes: { dense: last.dense.memory.cacheBytes, configured: last.configured.memory.cacheBytes },
    peakRatio: ratioOf(peakBytes.configured, peakBytes.dense),
    receipts: last,
  };
}

async function runInChild(
  variant: MemoryVariant,
  { winnow, config, sets, length, signal }: MemoryBenchOptions,
): Promise<Receipt> {
  const step = { compare: { prompt: { needle: { length } }, runs: [variant], maxNewTokens: 1 } };
  const changes = [...sets, `steps=${JSON.stringify([step])}`];
  const [program, ...start] = winnow;
  const args = [...start, "run", config, "--json", "--set", ...changes];
  const output = await outputOf(program, args, (status) => childError(args, status), signal);
  return (JSON.parse(output) as Receipt[])[0];
}

function childError(args: readonly string[], status: number | null): string {
  return `Cannot measure memory: "winnow ${args.slice(args.indexOf("run")).join(" ")}" ended with status ${status}. Run it alone to see why.`;
}
