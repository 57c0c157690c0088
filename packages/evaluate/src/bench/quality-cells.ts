import { WinnowError } from "@winnow/core";
import type { PipelineInput } from "@winnow/runtime";
import { checkMethods } from "./known-methods.js";

type Weights = NonNullable<PipelineInput["weights"]>;

/** How much is removed: a share, or an N:M pattern of which `keep` of `of` neighbours stay. */
export type QualitySetting = { readonly sparsity: number } | { readonly keep: number; readonly of: number };

/** One engine to measure. */
export interface QualityCell {
  readonly method: string;
  /** Such as `50 %` or `2:4`; empty for dense. */
  readonly setting: string;
  readonly weights: Weights;
  /** Whether the method chooses for each token what to skip. Perplexity then lets it do so for all tokens, needles for decoded ones only. */
  readonly selects: boolean;
}

type Make = (setting: QualitySetting) => Weights;

/** Options of a pruner for a setting. */
function target(setting: QualitySetting): Record<string, unknown> {
  return "sparsity" in setting ? { sparsity: setting.sparsity } : { pattern: setting };
}

const pruner = (sparsifier: string, more: Record<string, unknown> = {}): Make => {
  return (setting) => [{ sparsifier, options: { ...target(setting), ...more } }];
};

/** DSnoT refines the mask of the pruner before it, and must know the groups that it may not leave. */
const refined = (first: Make): Make => {
  return (setting) => {
    const groups = "sparsity" in setting ? {} : target(setting);
    return [...first(setting), { sparsifier: "dsnot", options: { initial: "given", ...groups } }];
  };
};

const pruners: Readonly<Record<string, Make>> = {
  magnitude: pruner("magnitude", { scope: "layer-threshold" }),
  random: pruner("random-pruning", { allocation: "uniform" }),
  wanda: pruner("wanda"),
  sparsegpt: pruner("sparsegpt"),
  "wanda+dsnot": refined(pruner("wanda")),
  // By row, as the reference code of DSnoT starts.
  "magnitude+dsnot": refined(pruner("magnitude", { scope: "row" })),
};

const selectors: Readonly<Record<string, Make>> = {
  "r-sparse": pruner("r-sparse"),
  "teal-signed": pruner("teal", { quantile: "signed" }),
  "teal-abs": pruner("teal", { quantile: "abs" }),
  cats: pruner("cats"),
};

/** In order of the table. */
export const qualityMethods: readonly string[] = ["dense", ...Object.keys(pruners), ...Object.keys(selectors)];

/** Shares at which methods that choose while they run are measured. */
export const selectedSparsities: readonly number[] = [0.25, 0.4, 0.5];

export const defaultQualitySettings: readonly QualitySetting[] = [
  ...[0.3, 0.5, 0.6, 0.7].map((sparsity) => ({ sparsity })),
  { keep: 2, of: 4 },
];

/** `0.5` or `2:4`. Throws `ERR_USAGE` for anything else. */
export function parseQualitySetting(text: string): QualitySetting {
  const groups = /^(\d+):(2|4|8|16)$/.exec(text);
  if (groups) {
    const [keep, of] = [Number(groups[1]), Number(groups[2])];
    if (keep >= 1 && keep < of) return { keep, of };
  }
  const sparsity = Number(text);
  if (text.trim() !== "" && sparsity > 0 && sparsity < 1) return { sparsity };
  throw new WinnowError(
    "ERR_USAGE",
    `A sparsity must be a share between 0 and 1 or a pattern such as 2:4, of which 2 stay, got "${text}".`,
  );
}

/** As a row of the table shows it. */
export function settingText(setting: QualitySetting): string {
  return "sparsity" in setting ? `${Number((100 * setting.sparsity).toFixed(2))} %` : `${setting.keep}:${setting.of}`;
}

/** The table's cells, dense first; pruners at `settings`, methods that choose while they run at `selected`. Throws `ERR_USAGE` for an unknown method. */
export function qualityCells(
  methods: readonly string[],
  settings: readonly QualitySetting[],
  selected: readonly number[],
): QualityCell[] {
  checkMethods(methods, qualityMethods);
  return qualityMethods
    .filter((method) => methods.includes(method))
    .flatMap((method): QualityCell[] => {
      if (method === "dense") return [{ method, setting: "", weights: [], selects: false }];
      const selects = method in selectors;
      const make = selectors[method] ?? pruners[method];
      const chosen = selects ? selected.map((sparsity) => ({ sparsity })) : settings;
      return chosen.map((setting) => ({ method, setting: settingText(setting), weights: make(setting), selects }));
    });
}
