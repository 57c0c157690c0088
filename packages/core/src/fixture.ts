import type { Operations } from "./operations.js";

/** A tensor of a recorded fixture. */
export interface FixtureTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}

/** One recorded case of a method: inputs and what the reference produced. */
export interface Fixture {
  readonly method: string;
  readonly name: string;
  readonly kind: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, FixtureTensor>;
}

/** How a plugin re-computes fixtures of its method. Found by `winnow verify`. */
export interface FixtureRunner {
  readonly kinds: readonly string[];
  /** Tensors by the fixture's names (`out.*`, `mid.*`, `intent.*`); whatever is returned is compared, whatever is compared must be returned. */
  run(fixture: Fixture, operations: Operations): Record<string, ArrayLike<number>>;
}
