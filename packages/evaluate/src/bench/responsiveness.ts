import type { Engine, Receipt } from "@winnow/runtime";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { type BenchHooks, type Rounds, type Spread, spreadOf } from "./measure.js";
import { type BenchPrompt, needlePrompts } from "./needles.js";

export interface ResponsivenessBenchOptions extends BenchHooks, Pick<Rounds, "repeat"> {
  readonly length: number;
  /** How many prompts are aborted, at random moments. */
  readonly aborts: number;
}

export interface ResponsivenessBench {
  readonly bench: "responsiveness";
  readonly length: number;
  /** Longest hold-up of the caller's event loop while one prompt ran. */
  readonly maxDelayMs: Spread;
  /** The same while `workers` prompts ran at once; absent with one worker. */
  readonly together?: {
    readonly sequences: number;
    readonly maxDelayMs: Spread;
    /** Whether each answer is the one that the prompt gets alone. */
    readonly sameAnswers: boolean;
  };
  /** Each abort: when it came, as a share of the prompt's time, and how long it took from `abort()` to the rejection; null: the prompt was done before. */
  readonly aborts: readonly { readonly at: number; readonly milliseconds: number | null }[];
  /** Over the aborts that came in time. */
  readonly abortMs?: Spread;
  readonly receipt: Receipt;
}

interface Finished {
  readonly text: string;
  readonly receipt: Receipt;
}

const NEW_TOKENS = 16;

/** What a caller notices of a running prompt: delays of its own event loop, and how soon it stops when asked to. */
export async function benchResponsiveness(
  engine: Engine,
  options: ResponsivenessBenchOptions,
): Promise<ResponsivenessBench> {
  const { workers } = engine.plan;
  const prompts = await needlePrompts(engine, { ...options, count: workers });
  const alone: Finished[] = [];
  for (const [index, prompt] of prompts.entries()) {
    options.onProgress?.((0.3 * index) / workers, `prompt ${index + 1} alone`);
    alone.push(await finish(engine, prompt, options));
  }
  const single = [alone[0]];
  while (single.length < options.repeat) {
    options.onProgress?.(0.3, "one prompt");
    single.push(await finish(engine, prompts[0], options));
  }
  const together = workers > 1 ? await measureTogether(engine, prompts, alone, options) : undefined;
  const duration = spreadOf(single.map(({ receipt }) => receipt.timing.timeToFirstTokenMs)).median;
  return {
    bench: "responsiveness",
    length: options.length,
    maxDelayMs: delays(single),
    ...(together && { together }),
    ...(await measureAborts(engine, prompts[0], duration, options)),
    receipt: alone[0].receipt,
  };
}

async function finish(engine: Engine, prompt: BenchPrompt, { signal }: BenchHooks): Promise<Finished> {
  const generation = engine.generate({ ids: prompt.ids }, { maxNewTokens: NEW_TOKENS, signal });
  const text = await generation.text();
  return { text, receipt: generation.receipt! };
}

function delays(runs: readonly Finished[]): Spread {
  return spreadOf(runs.map(({ receipt }) => receipt.eventLoop.maxDelayMs));
}

async function measureTogether(
  engine: Engine,
  prompts: readonly BenchPrompt[],
  alone: readonly Finished[],
  options: ResponsivenessBenchOptions,
): Promise<ResponsivenessBench["together"]> {
  const runs: Finished[] = [];
  let sameAnswers = true;
  for (let round = 0; round < options.repeat; round++) {
    options.onProgress?.(0.4 + (0.3 * round) / options.repeat, `${prompts.length} prompts together`);
    const finished = await Promise.all(prompts.map((prompt) => finish(engine, prompt, options)));
    sameAnswers &&= finished.every(({ text }, index) => text === alone[index].text);
    runs.push(...finished);
  }
  return { sequences: prompts.length, maxDelayMs: delays(runs), sameAnswers };
}

async function measureAborts(
  engine: Engine,
  prompt: BenchPrompt,
  durationMs: number,
  { aborts: count, signal, onProgress }: ResponsivenessBenchOptions,
): Promise<Pick<ResponsivenessBench, "aborts" | "abortMs">> {
  const random = xoroshiro128plus(1);
  const aborts: { at: number; milliseconds: number | null }[] = [];
  for (let index = 0; index < count; index++) {
    const at = 0.05 + 0.85 * uniformFloat64(random);
    onProgress?.(0.7 + (0.3 * index) / count, `abort at ${Math.round(100 * at)} %`);
    signal?.throwIfAborted();
    aborts.push({ at, milliseconds: await timeAbort(engine, prompt, at * durationMs) });
  }
  const inTime = aborts.flatMap(({ milliseconds }) => milliseconds ?? []);
  return { aborts, ...(inTime.length > 0 && { abortMs: spreadOf(inTime) }) };
}

/** Milliseconds from `abort()`, called `afterMs` into the prompt, until the generation rejects; null if it is done before. */
async function timeAbort(engine: Engine, prompt: BenchPrompt, afterMs: number): Promise<number | null> {
  const abort = new AbortController();
  let abortedAt = 0;
  const timer = setTimeout(() => {
    abortedAt = performance.now();
    abort.abort();
  }, afterMs);
  try {
    await engine.generate({ ids: prompt.ids }, { maxNewTokens: 1, signal: abort.signal }).text();
    return null;
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    return performance.now() - abortedAt;
  } finally {
    clearTimeout(timer);
  }
}
