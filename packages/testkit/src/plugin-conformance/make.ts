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
  type PluginKind,
  type PluginReference,
  prunerFromElementScorer,
  prunerFromEvictScorer,
  requiredMethods,
  sparsifierFromScorer,
  validateMask,
  type WeightScorer,
  type WeightSparsifier,
  WinnowError,
} from "@winnow/core";
import { attempt, requireThat } from "./check.js";
import { type ConformanceSubject, smallModel } from "./subject.js";

/** Makes the objects of one plugin, each call a new one. */
export class Maker {
  constructor(
    readonly definition: PluginDefinition,
    readonly subject: ConformanceSubject,
  ) {}

  /** The parsed options that the method is tried with. */
  options(): Record<string, unknown> {
    const given = this.subject.options ?? {};
    const parsed = this.definition.options.safeParse(given);
    requireThat(parsed.success, `the schema to accept ${JSON.stringify(given)}`, () => `"${issueOf(parsed.error)}"`);
    return parsed.data;
  }

  /** Options that have no default, as the subject gives them. */
  required(): Record<string, unknown> {
    const missing = this.definition.options.safeParse({}).error?.issues.map(({ path }) => path[0]) ?? [];
    const given = Object.entries(this.subject.options ?? {});
    return Object.fromEntries(given.filter(([name]) => missing.includes(name)));
  }

  create(options = this.options(), model: ModelShape = smallModel): unknown {
    return attempt("create to make the method", () => this.definition.create(options, model, this.inner(model)));
  }

  masker(model?: ModelShape): Masker {
    return maskerOf(this.definition, this.create(undefined, model));
  }

  pruner(model?: ModelShape): KvPruner {
    return prunerOf(this.definition, this.create(undefined, model));
  }

  sparsifier(): WeightSparsifier {
    return sparsifierOf(this.definition, this.create());
  }

  private inner(model: ModelShape): InnerPlugins {
    const make = ({ plugin, options }: PluginReference): [PluginDefinition, unknown] => {
      const definition = this.subject.plugins?.find(({ id }) => id === plugin);
      if (!definition)
        throw new WinnowError("ERR_PLUGIN_UNKNOWN", `Plugin "${plugin}" stands in the options; list it under plugins.`);
      return [definition, new Maker(definition, { ...this.subject, options }).create(undefined, model)];
    };
    return {
      masker: (reference) => checkedMasker(maskerOf(...make(reference))),
      kvPruner: (reference) => prunerOf(...make(reference)),
      weightSparsifier: (reference) => sparsifierOf(...make(reference)),
    };
  }
}

/** The first thing that a schema found wrong. */
export function issueOf(error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } | undefined) {
  return error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`)[0];
}

function maskerOf({ kind }: PluginDefinition, made: unknown): Masker {
  requireMethods(kind, made);
  return kind === "block-scorer" ? maskerFromBlockScorer(made as BlockScorer) : (made as Masker);
}

/** The runtime checks the masks of maskers in options too. */
function checkedMasker(masker: Masker): Masker {
  return {
    plan(context) {
      const masks = masker.plan(context);
      for (const mask of masks) validateMask(mask, context.q.length);
      return masks;
    },
  };
}

function prunerOf({ kind }: PluginDefinition, made: unknown): KvPruner {
  requireMethods(kind, made);
  if (kind === "evict-scorer") return prunerFromEvictScorer(made as EvictScorer) as KvPruner;
  if (kind === "element-scorer") return prunerFromElementScorer(made as ElementScorer) as KvPruner;
  return made as KvPruner;
}

function sparsifierOf({ kind }: PluginDefinition, made: unknown): WeightSparsifier {
  requireMethods(kind, made);
  return kind === "weight-scorer" ? sparsifierFromScorer(made as WeightScorer) : (made as WeightSparsifier);
}

function requireMethods(kind: PluginKind, made: unknown): void {
  for (const method of requiredMethods[kind]) {
    const given = (made as Record<string, unknown> | null | undefined)?.[method];
    requireThat(typeof given === "function", `create to return a ${kind} with a method ${method}`, `${typeof given}`);
  }
}
