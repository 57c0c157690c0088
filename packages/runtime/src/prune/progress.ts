import type { RunHooks } from "../engine/generation.js";

/** Share of a pruning run that is done, from phases of known weight; labels carry the rate of a phase that goes through tokens. */
export class PruneProgress {
  readonly #hooks: RunHooks;
  readonly #total: number;
  #done = 0;

  /** `total`: weight of all phases together. */
  constructor(hooks: RunHooks, total: number) {
    this.#hooks = hooks;
    this.#total = total;
  }

  /** Takes a phase that was done by an earlier run as done. */
  skip(weight: number): void {
    this.#done += weight;
  }

  /** Runs a phase; `work` calls back with the share of it that is done. `tokens`: how many it goes through, for the rate. */
  async phase<T>(weight: number, label: string, work: (report: (share: number) => void) => Promise<T>, tokens = 0) {
    const started = performance.now();
    const report = (share: number) => {
      const rate = (1000 * share * tokens) / (performance.now() - started);
      const text = tokens > 0 && share > 0 ? `${label}, ${Math.round(rate)} tokens/s` : label;
      this.#hooks.onProgress?.(Math.min(1, (this.#done + share * weight) / this.#total), text);
    };
    report(0);
    const result = await work(report);
    this.#done += weight;
    return result;
  }
}
