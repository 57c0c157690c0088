import {
  type BlockScorer,
  type EvictScorer,
  type InnerPlugins,
  type KvPruner,
  type Masker,
  type ModelShape,
  maskerFromBlockScorer,
  maskStatistics,
  type PluginDefinition,
  type PluginKind,
  type PluginReference,
  prunerFromEvictScorer,
  sparsifierFromScorer,
  validateMask,
  type WeightScorer,
  type WeightSparsifier,
  WinnowError,
} from "@winnow/core";
import type { InnerMaskStats } from "../../receipt/stats.js";
import { guardPlugin } from "../../registry/guard-plugin.js";

/** Methods that an object of each kind must have; the others are optional. */
const requiredMethods: Readonly<Partial<Record<PluginKind, readonly string[]>>> = {
  masker: ["plan"],
  "block-scorer": ["score"],
  "kv-pruner": ["createState"],
  "evict-scorer": ["budget", "score"],
  "weight-sparsifier": ["sparsify"],
  "weight-scorer": ["score"],
};

/** What the maskers inside a masker returned since the last look. */
export class MaskRecords {
  #records: InnerMaskStats[] = [];

  add(record: InnerMaskStats): void {
    this.#records.push(record);
  }

  take(): readonly InnerMaskStats[] {
    const taken = this.#records;
    this.#records = [];
    return taken;
  }
}

/** Makes methods of plugins in this worker: those that a plan names, and, handed to them, those inside their options. */
export class PluginFactory {
  constructor(
    private readonly definitions: ReadonlyMap<string, PluginDefinition>,
    private readonly shape: ModelShape,
  ) {}

  /** `inner` receives what maskers inside this one return. */
  masker({ plugin, options }: PluginReference, inner: MaskRecords): Masker {
    const definition = this.definitionOf(plugin);
    const made = this.make(definition, options, inner);
    return definition.kind === "block-scorer" ? maskerFromBlockScorer(made as BlockScorer) : (made as Masker);
  }

  kvPruner({ plugin, options }: PluginReference): KvPruner {
    const definition = this.definitionOf(plugin);
    const made = this.make(definition, options);
    return definition.kind === "evict-scorer" ? prunerFromEvictScorer(made as EvictScorer) : (made as KvPruner);
  }

  weightSparsifier({ plugin, options }: PluginReference): WeightSparsifier {
    const definition = this.definitionOf(plugin);
    const made = this.make(definition, options);
    return definition.kind === "weight-scorer"
      ? sparsifierFromScorer(made as WeightScorer)
      : (made as WeightSparsifier);
  }

  private make(
    definition: PluginDefinition,
    options: Readonly<Record<string, unknown>>,
    records = new MaskRecords(),
  ): unknown {
    const { id, kind } = definition;
    return guardPlugin(id, "create", () => {
      const made: unknown = definition.create(options, this.shape, this.innerPlugins(records));
      for (const method of requiredMethods[kind] ?? []) {
        const given = (made as Record<string, unknown> | null | undefined)?.[method];
        if (typeof given !== "function")
          throw new WinnowError("ERR_PLUGIN_RESULT", `a ${kind} must have a method ${method}, got ${typeof given}.`);
      }
      return made;
    });
  }

  private innerPlugins(records: MaskRecords): InnerPlugins {
    return {
      masker: (reference) => this.recordedMasker(reference, records),
      kvPruner: (reference) => this.kvPruner(reference),
      weightSparsifier: (reference) => this.weightSparsifier(reference),
    };
  }

  private recordedMasker(reference: PluginReference, records: MaskRecords): Masker {
    const below = new MaskRecords();
    const masker = this.masker(reference, below);
    return {
      plan: (context) =>
        guardPlugin(reference.plugin, "plan", () => {
          const n = context.q.length;
          const masks = masker.plan(context);
          for (const mask of masks) validateMask(mask, n);
          const density = masks.map((mask) => maskStatistics(mask, n).density);
          records.add({ masker: reference.plugin, heads: context.heads, density, inner: below.take() });
          return masks;
        }),
    };
  }

  private definitionOf(id: string): PluginDefinition {
    const definition = this.definitions.get(id);
    if (!definition)
      throw new WinnowError("ERR_PLUGIN_UNKNOWN", `Cannot run plugin "${id}": the plan lists no module for it.`);
    return definition;
  }
}
