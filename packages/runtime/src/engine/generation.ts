import { WinnowError } from "@winnow/core";
import type { Receipt } from "../receipt/receipt.js";
import type { FinishReason, GeneratedToken } from "../workers/messages.js";
import type { GenerationInput } from "./generation-options.js";

export interface RunHooks {
  readonly signal?: AbortSignal;
  /** Share of the prompt that is done, in [0, 1]. */
  onProgress?(share: number, label: string): void;
}

export type GenerateInput = GenerationInput & RunHooks;

/** A prompt whose cache is kept. Its answer can be generated once. */
export class Sequence {
  /** Tokens of the prompt. */
  readonly length: number;
  readonly dense: boolean;
  #start: ((input: Omit<GenerateInput, "dense">) => Generation) | undefined;

  /** @internal */
  constructor(length: number, dense: boolean, start: (input: Omit<GenerateInput, "dense">) => Generation) {
    this.length = length;
    this.dense = dense;
    this.#start = start;
  }

  generate(input: Omit<GenerateInput, "dense"> = {}): Generation {
    const start = this.#start;
    if (!start)
      throw new WinnowError(
        "ERR_USAGE",
        "This sequence was generated from already; its cache holds that answer. Call prefill again.",
      );
    const generation = start(input);
    this.#start = undefined;
    return generation;
  }
}

/** An answer in progress: iterate it once, or await `text()`. */
export class Generation implements AsyncIterable<GeneratedToken> {
  #start: ((generation: Generation) => Promise<AsyncGenerator<GeneratedToken, void>>) | undefined;
  #finish: FinishReason | undefined;
  #receipt: Receipt | undefined;

  /** @internal */
  constructor(start: (generation: Generation) => Promise<AsyncGenerator<GeneratedToken, void>>) {
    this.#start = start;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GeneratedToken, void> {
    const start = this.#start;
    if (!start) throw new WinnowError("ERR_USAGE", "This generation was iterated already. Call generate again.");
    this.#start = undefined;
    yield* await start(this);
  }

  /** The whole answer. */
  async text(): Promise<string> {
    let text = "";
    for await (const token of this) text += token.text;
    return text;
  }

  /** Why it ended; undefined while it runs. */
  get finishReason(): FinishReason | undefined {
    return this.#finish;
  }

  /** What ran, once it has ended. */
  get receipt(): Receipt | undefined {
    return this.#receipt;
  }

  /** @internal */
  finish(reason: FinishReason, receipt: Receipt): void {
    this.#finish = reason;
    this.#receipt = receipt;
  }
}
