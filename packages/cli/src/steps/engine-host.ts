import { createEngine, type Engine, groupFallbacks, readConfig } from "@winnow/runtime";
import { notice, startProgress } from "../io.js";

/** What the steps of a pipeline run on: an engine that is made when the first step needs it. */
export class EngineHost implements AsyncDisposable {
  readonly #file: string;
  readonly #signal: AbortSignal;
  #sets: readonly string[];
  #engine: Engine | undefined;

  constructor(file: string, sets: readonly string[], signal: AbortSignal) {
    this.#file = file;
    this.#sets = sets;
    this.#signal = signal;
  }

  async engine(): Promise<Engine> {
    this.#engine ??= await this.#create();
    return this.#engine;
  }

  /** Later steps run on another model, whose weights have been pruned. */
  async useModel(folder: string): Promise<void> {
    await this.#close();
    this.#sets = [...this.#sets, `model=${JSON.stringify(folder)}`, "weights=[]"];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #create(): Promise<Engine> {
    const loading = startProgress("loading");
    const hooks = { signal: this.#signal, onProgress: loading.update, onNotice: notice };
    const engine = await createEngine(readConfig(this.#file, this.#sets), hooks).finally(() => loading.stop());
    for (const { wanted, reason, replacements } of groupFallbacks(engine.plan.fallbacks))
      notice(`Note: ${wanted} kernels cannot run: ${reason} Instead: ${replacements}.`);
    return engine;
  }

  async #close(): Promise<void> {
    await this.#engine?.close();
    this.#engine = undefined;
  }
}
