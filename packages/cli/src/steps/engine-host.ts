import { createEngine, type Engine, groupFallbacks, readConfig } from "@winnow/runtime";
import { notice, startProgress } from "../io.js";

/** What the steps of a pipeline run on: an engine that is made when the first step needs it. */
export class EngineHost implements AsyncDisposable {
  readonly #file: string;
  readonly #signal: AbortSignal;
  readonly #ownSets: readonly string[];
  #sets: readonly string[];
  #engine: Engine | undefined;
  #unpruned: Engine | undefined;

  constructor(file: string, sets: readonly string[], signal: AbortSignal) {
    this.#file = file;
    this.#ownSets = sets;
    this.#sets = sets;
    this.#signal = signal;
  }

  async engine(): Promise<Engine> {
    this.#engine ??= await this.#create(this.#sets);
    return this.#engine;
  }

  /** The same settings over the weights that the configuration starts from, whatever prunes them. */
  async unprunedEngine(): Promise<Engine> {
    this.#unpruned ??= await this.#create([...this.#ownSets, "weights=[]", "weightFormat=dense"]);
    return this.#unpruned;
  }

  /** Later steps run on another model, whose weights have been pruned. */
  async useModel(folder: string): Promise<void> {
    await this.#close();
    this.#sets = [...this.#sets, `model=${JSON.stringify(folder)}`, "weights=[]"];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.#unpruned?.close();
  }

  async #create(sets: readonly string[]): Promise<Engine> {
    const loading = startProgress("loading");
    const hooks = { signal: this.#signal, onProgress: loading.update, onNotice: notice };
    const engine = await createEngine(readConfig(this.#file, sets), hooks).finally(() => loading.stop());
    for (const { wanted, reason, replacements } of groupFallbacks(engine.plan.fallbacks))
      notice(`Note: ${wanted} kernels cannot run: ${reason} Instead: ${replacements}.`);
    return engine;
  }

  async #close(): Promise<void> {
    await this.#engine?.close();
    this.#engine = undefined;
  }
}
