import type { z } from "zod";
import { WinnowError } from "./errors.js";
import type { FixtureRunner } from "./fixture.js";
import type { InnerPlugins } from "./inner-plugins.js";
import type { KernelPackage } from "./kernel.js";
import type { ElementScorer, EvictScorer, KvPruner } from "./kv-pruner.js";
import { isPluginId, pluginKinds } from "./manifest.js";
import type { BlockScorer, Masker } from "./masker.js";
import type { ModelShape } from "./model-shape.js";
import { optionInfos } from "./options.js";
import type { TuneContext, TuneResult } from "./tune.js";
import type { WeightScorer, WeightSparsifier } from "./weight-sparsifier.js";

/** Kinds of plugins with what `create` of each returns. */
export interface PluginKinds {
  masker: Masker;
  "block-scorer": BlockScorer;
  "kv-pruner": KvPruner;
  "evict-scorer": EvictScorer;
  "element-scorer": ElementScorer;
  "weight-sparsifier": WeightSparsifier;
  "weight-scorer": WeightScorer;
  kernel: KernelPackage;
}

export type PluginKind = keyof PluginKinds;

/** Methods that what `create` returns must have, by kind; the others are optional. */
export const requiredMethods: { readonly [Kind in PluginKind]: readonly (keyof PluginKinds[Kind])[] } = {
  masker: ["plan"],
  "block-scorer": ["score"],
  "kv-pruner": ["createState"],
  "evict-scorer": ["budget", "score"],
  "element-scorer": ["kept", "score"],
  "weight-sparsifier": ["sparsify"],
  "weight-scorer": ["score"],
  kernel: ["available", "load"],
};

export interface PluginDefinition<Kind extends PluginKind = PluginKind, Schema extends z.ZodObject = z.ZodObject> {
  /** Kebab-case; equal to folder, YAML name, doc page and test title. */
  readonly id: string;
  readonly kind: Kind;
  /** One sentence. */
  readonly summary: string;
  readonly source: PluginSource;
  readonly options: Schema;
  /** Problems that make these options impossible for this model, found before weights are read. */
  check?(options: z.output<Schema>, model: ModelShape): readonly OptionProblem[];
  /**
   * Makes the method. Called in each worker; must not keep state between sequences.
   * `plugins` makes the plugins that stand in the options (`pluginOption`); the runtime always gives it.
   */
  create(options: z.output<Schema>, model: ModelShape, plugins?: InnerPlugins): PluginKinds[Kind];
  /** Re-computes recorded fixtures; loaded by `winnow verify` only. */
  fixtures?(): Promise<FixtureRunner>;
  /** Offline search of options; run by `winnow tune`. */
  tune?(): Promise<Tuner>;
}

export interface PluginSource {
  readonly title: string;
  readonly authors?: string;
  readonly year?: number;
  /** arXiv id or URL. */
  readonly url?: string;
  /** Reference implementation: repository and commit. */
  readonly reference?: string;
}

export interface OptionProblem {
  /** Path inside the options, e.g. `["selectionLayers", 0]`. */
  readonly path: readonly (string | number)[];
  /** What was given and what is expected. */
  readonly message: string;
}

export interface Tuner {
  /** Schema of the search's own settings. */
  readonly options: z.ZodObject;
  run(context: TuneContext, options: Record<string, unknown>): Promise<TuneResult>;
}

/**
 * Declares a plugin; the default export of its module.
 * Throws `ERR_PLUGIN_INVALID` for a malformed definition, so that a mistake shows when the module loads.
 */
export function definePlugin<Kind extends PluginKind, Schema extends z.ZodObject>(
  definition: PluginDefinition<Kind, Schema>,
): PluginDefinition<Kind, Schema> {
  if (!isPluginId(definition.id)) {
    throw new WinnowError("ERR_PLUGIN_INVALID", `Plugin id must be kebab-case, got ${JSON.stringify(definition.id)}.`);
  }
  if (!pluginKinds.includes(definition.kind)) {
    throw new WinnowError(
      "ERR_PLUGIN_INVALID",
      `Plugin "${definition.id}": kind must be one of ${pluginKinds.join(", ")}, got ${JSON.stringify(definition.kind)}.`,
    );
  }
  if (typeof definition.create !== "function") {
    throw new WinnowError("ERR_PLUGIN_INVALID", `Plugin "${definition.id}": create must be a function.`);
  }
  optionInfos(definition.options);
  return definition;
}
