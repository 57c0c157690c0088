import { rmSync } from "node:fs";
import { join } from "node:path";
import { type LinearWeight, type Projection, weightBytes } from "@winnow/core";
import type { LayerWeights } from "@winnow/models";
import { CacheFolder, type CacheState, defaultCacheFolder } from "./cache-folder.js";
import { type PruneJob, runStep } from "./job.js";
import { roleOf } from "./places.js";

export type PrunedMatrices = ReadonlyMap<number, ReadonlyMap<Projection, LinearWeight>>;

/** Keeps the matrices of a run for the next one with the same key. A cache that cannot be used costs a notice, never the run. */
export class PruneCache {
  readonly #folder: CacheFolder;

  constructor(
    private readonly job: PruneJob,
    private readonly key: string,
    private readonly notice: (text: string) => void,
  ) {
    const { cache } = job.plan.weights.calibration;
    this.#folder = new CacheFolder(typeof cache === "string" ? cache : defaultCacheFolder());
  }

  /** The matrices of an earlier run, in shared memory; undefined if there are none, or they are damaged or do not fit `layers`. */
  async read(layers: readonly LayerWeights[]): Promise<PrunedMatrices | undefined> {
    const entry = this.#folder.entry(this.key);
    try {
      const state = this.#folder.read(this.key);
      if (!state) return undefined;
      const matrices = await this.#readMatrices(state, layers);
      this.notice(`Pruned weights: reused from "${entry}".`);
      return matrices;
    } catch (error) {
      this.job.hooks.signal?.throwIfAborted();
      this.notice(`Pruned weights: ignoring "${entry}", they are computed again: ${(error as Error).message}`);
      this.#quietly(() => this.#folder.remove(this.key));
      return undefined;
    }
  }

  /** Keeps matrices, unless they are larger than the whole cache may be. */
  async write(matrices: PrunedMatrices): Promise<void> {
    const limit = 1e9 * this.job.plan.weights.calibration.cacheGigabytes;
    const all = [...matrices].flatMap(([layer, changes]) =>
      [...changes].map(([projection, weight]) => ({ layer, projection, weight })),
    );
    const size = all.reduce((sum, { weight }) => sum + weightBytes(weight), 0);
    if (size > limit) {
      this.notice(`Pruned weights: not kept, ${inMegabytes(size)} are more than calibration.cacheGigabytes allows.`);
      return;
    }
    try {
      const bytes = await this.#writeEntry(all);
      this.#folder.clean(limit, this.key);
      const entry = this.#folder.entry(this.key);
      this.notice(
        `Pruned weights: kept in "${entry}" (${inMegabytes(bytes)}) for the next start; calibration.cache: false turns this off.`,
      );
    } catch (error) {
      this.job.hooks.signal?.throwIfAborted();
      this.notice(`Pruned weights: not kept in "${this.#folder.path}": ${(error as Error).message}`);
    }
  }

  async #readMatrices({ matrices }: CacheState, layers: readonly LayerWeights[]): Promise<PrunedMatrices> {
    const entry = this.#folder.entry(this.key);
    const weights = await Promise.all(
      matrices.map(({ file }) => runStep<LinearWeight>(this.job, { step: "read-matrix", file: join(entry, file) })),
    );
    const results = new Map<number, Map<Projection, LinearWeight>>();
    for (const [index, { layer, projection }] of matrices.entries()) {
      const { outFeatures, inFeatures } = weights[index];
      const own = layers[layer]?.[roleOf(projection)];
      if (own?.outFeatures !== outFeatures || own.inFeatures !== inFeatures)
        throw new Error(`its ${projection} of layer ${layer} does not fit the model`);
      results.set(layer, (results.get(layer) ?? new Map()).set(projection, weights[index]));
    }
    return results;
  }

  async #writeEntry(
    all: readonly { readonly layer: number; readonly projection: Projection; readonly weight: LinearWeight }[],
  ): Promise<number> {
    const folder = this.#folder.begin();
    try {
      const named = all.map(({ layer, projection }) => ({ layer, projection, file: `${layer}.${projection}.bin` }));
      const sizes = await Promise.all(
        named.map(({ file }, index) =>
          runStep<number>(this.job, { step: "write-matrix", file: join(folder, file), weight: all[index].weight }),
        ),
      );
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      this.#folder.finish(folder, { key: this.key, bytes, matrices: named });
      return bytes;
    } catch (error) {
      this.#quietly(() => rmSync(folder, { recursive: true, force: true }));
      throw error;
    }
  }

  #quietly(work: () => void): void {
    try {
      work();
    } catch {
      // What cannot be deleted is replaced or ignored later.
    }
  }
}

function inMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
