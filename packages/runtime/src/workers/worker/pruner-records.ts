import type { InnerPrunerStats } from "../../receipt/stats.js";

type Counts = Pick<InnerPrunerStats, "calls" | "tokensRead" | "tokensKept">;

const nothing: Counts = { calls: 0, tokensRead: 0, tokensKept: 0 };

/** Counts of the KV pruners inside a pruner, in the order in which they were made. */
export class PrunerRecords {
  readonly #pruners: PrunerRecord[] = [];

  add(kvPruner: string): PrunerRecord {
    const record = new PrunerRecord(kvPruner);
    this.#pruners.push(record);
    return record;
  }

  /** What was counted for a layer since the last look; also pruners that were not asked, so that the order is the same each time. */
  take(layer: number): readonly InnerPrunerStats[] {
    return this.#pruners.map((pruner) => pruner.take(layer));
  }

  /** Forgets what a run that failed has left. */
  clear(): void {
    for (const pruner of this.#pruners) pruner.clear();
  }
}

export class PrunerRecord {
  /** Of the pruners inside this one. */
  readonly inner = new PrunerRecords();
  readonly #layers = new Map<number, Counts>();

  constructor(private readonly kvPruner: string) {}

  count(layer: number, more: Counts): void {
    const before = this.#layers.get(layer) ?? nothing;
    this.#layers.set(layer, {
      calls: before.calls + more.calls,
      tokensRead: before.tokensRead + more.tokensRead,
      tokensKept: before.tokensKept + more.tokensKept,
    });
  }

  take(layer: number): InnerPrunerStats {
    const counts = this.#layers.get(layer) ?? nothing;
    this.#layers.delete(layer);
    return { kvPruner: this.kvPruner, ...counts, inner: this.inner.take(layer) };
  }

  clear(): void {
    this.#layers.clear();
    this.inner.clear();
  }
}
