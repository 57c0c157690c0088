import {
  type BlockScorer,
  type ElementScorer,
  type EvictScorer,
  type InnerPlugins,
  type KvPruner,
  type Masker,
  type ModelShape,
  maskerFromBlockScorer,
  type PluginDefinition,
  type PluginReference,
  prunerFromElementScorer,
  prunerFromEvictScorer,
  requiredMethods,
  sparsifierFromScorer,
  type WeightScorer,
  type WeightSparsifier,
  WinnowError,
} from "@winnow/core";
import { deepFreeze } from "../../registry/deep-freeze.js";
import { guardPlugin } from "../../registry/guard-plugin.js";
import { PrunerRecords } from "./pruner-records.js";
import { MaskRecords, recordedMasker } from "./recorded-masker.js";
import { recordedPruner } from "./recorded-pruner.js";

/** Makes methods of plugins in this worker: those that a plan names, and, handed to them, those inside their options. */
export class PluginFactory {
  constructor(
    private readonly definitions: ReadonlyMap<string, PluginDefinition>,
    private readonly shape: ModelShape,
  ) {
    deepFreeze(shape);
  }

  /** `inner` receives what maskers inside this one return. */
  masker({ plugin, options }: PluginReference, inner: MaskRecords): Masker {
    const definition = this.definitionOf(plugin);
    const made = this.make(definition, options, { masks: inner });
    return definition.kind === "block-scorer" ? maskerFromBlockScorer(made as BlockScorer) : (made as Masker);
  }

  /** `inner` counts what pruners inside this one decide. */
  kvPruner({ plugin, options }: PluginReference, inner: PrunerRecords): KvPruner {
    const definition = this.definitionOf(plugin);
    const made = this.make(definition, options, { pruners: inner });
    if (definition.kind === "evict-scorer") return prunerFromEvictScorer(made as EvictScorer);
    if (definition.kind === "element-scorer") return prunerFromElementScorer(made as ElementScorer);
    return made as KvPruner;
  }

  weightSparsifier({ plugin, options }: PluginReference): WeightSparsifier {
    const definition = this.definitionOf(plugin);
    const made = this.make(definition, options, {});
    return definition.kind === "weight-scorer"
      ? sparsifierFromScorer(made as WeightScorer)
      : (made as WeightSparsifier);
  }

  private make(
    definition: PluginDefinition,
    options: Readonly<Record<string, unknown>>,
    { masks = new MaskRecords(), pruners = new PrunerRecords() }: { masks?: MaskRecords; pruners?: PrunerRecords },
  ): unknown {
    const { id, kind } = definition;
    return guardPlugin(id, "create", () => {
      const made: unknown = definition.create(deepFreeze(options), this.shape, this.innerPlugins(masks, pruners));
      for (const method of requiredMethods[kind]) {
        const given = (made as Record<string, unknown> | null | undefined)?.[method];
        if (typeof given !== "function")
          throw new WinnowError("ERR_PLUGIN_RESULT", `a ${kind} must have a method ${method}, got ${typeof given}.`);
      }
      return made;
    });
  }

  private innerPlugins(masks: MaskRecords, pruners: PrunerRecords): InnerPlugins {
    return {
      masker: (reference) => {
        const below = new MaskRecords();
        return recordedMasker(reference.plugin, this.masker(reference, below), masks, below);
      },
      kvPruner: (reference) => {
        const record = pruners.add(reference.plugin);
        return recordedPruner(reference.plugin, this.kvPruner(reference, record.inner), record);
      },
      weightSparsifier: (reference) => guardedSparsifier(reference.plugin, this.weightSparsifier(reference)),
    };
  }

  private definitionOf(id: string): PluginDefinition {
    const definition = this.definitions.get(id);
    if (!definition)
      throw new WinnowError("ERR_PLUGIN_UNKNOWN", `Cannot run plugin "${id}": the plan lists no module for it.`);
    return definition;
  }
}

/** Errors name the sparsifier itself, not the one that holds it. */
function guardedSparsifier(plugin: string, sparsifier: WeightSparsifier): WeightSparsifier {
  const { statistics, changesBias, survey } = sparsifier;
  return {
    statistics,
    ...(changesBias !== undefined && { changesBias }),
    ...(survey && {
      survey: {
        ...(survey.passes !== undefined && { passes: survey.passes }),
        measure: (context) => guardPlugin(plugin, "survey.measure", () => survey.measure(context)),
        combine: (matrices, previous) =>
          guardPlugin(plugin, "survey.combine", () => survey.combine(matrices, previous)),
      },
    }),
    sparsify: (context) =>
      guardPlugin(plugin, `sparsify of layer ${context.layer} ${context.projection}`, () =>
        sparsifier.sparsify(context),
      ),
  };
}
