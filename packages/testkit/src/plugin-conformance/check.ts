/** One rule of a plugin contract, as something that can be tried on a plugin. */
export interface ConformanceCheck {
  /** Kebab-case, unique within a kind. */
  readonly id: string;
  /** A sentence about the plugin. */
  readonly title: string;
  /** File of `@winnow/core` and the declaration that makes the rule, such as `masker.ts: Masker.plan`. */
  readonly clause: string;
  /**
   * Tries it. Throws {@link ConformanceError} where the plugin breaks the rule; resolves to a note on what was measured, where that says more than "passed".
   */
  run(): Promise<string | undefined>;
}

/** A broken rule: what was expected of the plugin, and what came. */
export class ConformanceError extends Error {
  override readonly name = "ConformanceError";

  constructor(expected: string, got: string, cause?: unknown) {
    super(`Expected ${expected}; got ${got}.`, cause === undefined ? undefined : { cause });
  }
}

export function requireThat(holds: boolean, expected: string, got: string | (() => string)): asserts holds {
  if (!holds) throw new ConformanceError(expected, typeof got === "string" ? got : got());
}

/** Runs plugin code that must not throw. */
export function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw thrown(what, error);
  }
}

/** {@link attempt} for code that may be asynchronous. */
export async function attemptAsync<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw thrown(what, error);
  }
}

/** What plugin code throws, or undefined. */
export function errorOf(work: () => unknown): Error | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function thrown(what: string, error: unknown): ConformanceError {
  if (error instanceof ConformanceError) return error;
  return new ConformanceError(what, `the error "${messageOf(error)}"`, error);
}

/** Without the full stop, so that it can stand inside a sentence. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
}
