import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type PipelineInput, type PruneOptions, prune } from "@winnow/runtime";
import { writePlugin } from "./engines.js";
import { someText, tinyPipeline, writeTinyModel } from "./tiny-model.js";

export type Weights = NonNullable<PipelineInput["weights"]>;

export interface TestPlugin {
  readonly id: string;
  readonly module: string;
}

export interface Case extends Partial<PruneOptions> {
  readonly weights?: Weights;
  readonly more?: Partial<PipelineInput>;
}

/** A folder with a text, a tiny model, and plugins that tests write; runs prune them. */
export class PruneBench {
  readonly model: string;
  readonly text: string;
  #count = 0;

  constructor(readonly folder: string) {
    this.model = writeTinyModel(folder);
    this.text = join(folder, "text.txt");
    writeFileSync(this.text, someText(200));
  }

  /** A name that was not used before. */
  path(name: string): string {
    return join(this.folder, `${name}-${++this.#count}`);
  }

  /** A weight sparsifier (or what else `kind` says) from source text. */
  plugin(create: string, kind = "weight-sparsifier"): TestPlugin {
    const id = `plugin-${++this.#count}`;
    return { id, module: writePlugin(this.folder, id, kind, create) };
  }

  /** Removes the half of each row that the input norms and the weights rank lowest. */
  scorer(): TestPlugin {
    return this.plugin(
      `() => ({
        statistics: ["norm"],
        pattern: { pattern: "row", sparsity: 0.5 },
        score: ({ weight, statistics }) =>
          Float32Array.from(weight.data, (value, e) => Math.abs(value) * statistics.norm[e % weight.inFeatures]),
      })`,
      "weight-scorer",
    );
  }

  /** Keeps elements for which `keep`, an expression of e, i, layer and projection, holds. Needs no statistics. */
  keeping(keep: string): TestPlugin {
    return this.plugin(`() => ({
      statistics: [],
      sparsify: ({ weight, layer, projection }) => ({
        ...weight,
        data: weight.data.map((value, e) => { const i = e % weight.inFeatures; return (${keep}) ? value : 0; }),
      }),
    })`);
  }

  /** Prunes the tiny model with one plugin. */
  async prune(used: TestPlugin, { weights, more, ...options }: Case = {}) {
    const out = options.out ?? this.path("out");
    const pipeline = tinyPipeline(more?.model ?? this.model, {
      ...more,
      plugins: [used.module],
      weights: weights ?? [{ sparsifier: used.id }],
      calibration: { text: this.text, sequences: 5, length: 20, ...more?.calibration },
    });
    return { out, report: await prune(pipeline, { ...options, out }) };
  }
}
