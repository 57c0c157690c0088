/** Measured values of one variant, in the order of the rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: readonly number[];
}

/** What every benchmark takes from its caller. */
export interface BenchHooks {
  /** Looked at between runs. */
  readonly signal?: AbortSignal;
  /** Share of the runs that are done, in [0, 1], and what runs next. */
  onProgress?(share: number, label: string): void;
}

export interface Rounds extends BenchHooks {
  /** Measured rounds, >= 1; each runs every variant once. */
  readonly repeat: number;
  /** Rounds before them that are not measured. */
  readonly warmUp: number;
}

/** Median, smallest and largest of at least one value. The median, because one disturbed run moves a mean. */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1], samples };
}

/** `numerator / denominator` of each round: what slows a whole round down cancels out. Both must have been measured in the same rounds. */
export function ratioOf(numerator: Spread, denominator: Spread): Spread {
  return spreadOf(numerator.samples.map((value, round) => value / denominator.samples[round]));
}

/** `minuend - subtrahend` of each round. Both must have been measured in the same rounds. */
export function differenceOf(minuend: Spread, subtrahend: Spread): Spread {
  return spreadOf(minuend.samples.map((value, round) => value - subtrahend.samples[round]));
}

/** Both orders in turn, so that a drift of the machine's speed favours no variant. */
export function roundOrder<T>(variants: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? variants : variants.toReversed();
}

/** Wall time of each variant in milliseconds, all variants in every round. `now` is replaced in tests only. */
export async function interleave<Name extends string>(
  variants: Readonly<Record<Name, () => unknown>>,
  { repeat, warmUp, signal, onProgress }: Rounds,
  now: () => number = () => performance.now(),
): Promise<Record<Name, Spread>> {
  const names = Object.keys(variants) as Name[];
  const samples = new Map(names.map((name) => [name, [] as number[]]));
  const rounds = warmUp + repeat;
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    for (const name of roundOrder(names, round)) {
      onProgress?.(done++ / (rounds * names.length), name);
      await yieldToEvents();
      signal?.throwIfAborted();
      const start = now();
      await variants[name]();
      if (round >= warmUp) samples.get(name)!.push(now() - start);
    }
  }
  return Object.fromEntries(names.map((name) => [name, spreadOf(samples.get(name)!)])) as Record<Name, Spread>;
}

/** Kernels run on this thread: without a pause nothing would be drawn between them. */
function yieldToEvents(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
