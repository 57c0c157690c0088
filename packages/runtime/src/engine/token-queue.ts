/** Hands values from callbacks to an async iteration, in order. */
export class TokenQueue<T> {
  readonly #values: T[] = [];
  #wake: (() => void) | undefined;

  push(value: T): void {
    this.#values.push(value);
    this.#wake?.();
  }

  /** Yields what is pushed until `end` settles; rejects as `end` does, after what came before. */
  async *until(end: Promise<unknown>): AsyncGenerator<T, void> {
    let ended = false;
    const finish = () => {
      ended = true;
      this.#wake?.();
    };
    end.then(finish, finish);
    for (;;) {
      while (this.#values.length > 0) yield this.#values.shift() as T;
      if (ended) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    await end;
  }
}
