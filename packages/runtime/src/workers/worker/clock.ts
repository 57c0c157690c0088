/** Sums of milliseconds by name. */
export class Clock<Name extends string> {
  readonly #sums = new Map<Name, number>();

  /** Runs `work`, adding its duration to `name`. */
  time<T>(name: Name, work: () => T): T {
    const start = performance.now();
    try {
      return work();
    } finally {
      this.add(name, performance.now() - start);
    }
  }

  /** Like {@link time} for work that may be asynchronous. */
  async timeAsync<T>(name: Name, work: () => T | Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.add(name, performance.now() - start);
    }
  }

  add(name: Name, milliseconds: number): void {
    this.#sums.set(name, this.ms(name) + milliseconds);
  }

  ms(name: Name): number {
    return this.#sums.get(name) ?? 0;
  }
}
