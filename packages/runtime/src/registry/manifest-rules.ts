import type { PluginKind } from "@winnow/core";
import { isPluginId, pluginKinds } from "@winnow/core/manifest";

/** package.json of a plugin package, as far as it is looked at. */
export interface PluginPackage {
  readonly name: string;
  readonly version?: string;
  readonly exports?: unknown;
  readonly main?: string;
  readonly winnow: {
    readonly contract: number;
    readonly plugins: readonly {
      readonly id: string;
      readonly kind: PluginKind;
      readonly summary: string;
      readonly module?: string;
    }[];
  };
}

/** Entries of an object: what fits, and what it must be, as a sentence goes on. */
type Rules = Readonly<Record<string, readonly [fits: (value: unknown) => boolean, expected: string]>>;

const filledText = [(value: unknown) => typeof value === "string" && value !== "", "text that is not empty"] as const;
const text = [(value: unknown) => value === undefined || typeof value === "string", "text"] as const;

const packageRules: Rules = { name: filledText, version: text, main: text };

const winnowRules: Rules = {
  contract: [Number.isSafeInteger, "a whole number"],
  plugins: [(value) => Array.isArray(value) && value.length > 0, "a list of at least one plugin"],
};

const pluginRules: Rules = {
  id: [(value) => typeof value === "string" && isPluginId(value), "kebab-case"],
  kind: [(value) => pluginKinds.includes(value as PluginKind), `one of ${pluginKinds.join(", ")}`],
  summary: filledText,
  module: text,
};

/**
 * Everything that makes a package.json unusable as a {@link PluginPackage}, one `path: must be ..., got ...` each; `[]`: it is one.
 * Rules by hand: a schema library takes longer to load than all manifests take to read.
 */
export function manifestProblems(json: object): string[] {
  const { winnow } = json as { winnow?: { plugins?: unknown } | null };
  const plugins = Array.isArray(winnow?.plugins) ? winnow.plugins : [];
  return [
    ...brokenRules(json, packageRules, ""),
    ...brokenRules(winnow, winnowRules, "winnow"),
    ...plugins.flatMap((plugin, index) => brokenRules(plugin, pluginRules, `winnow.plugins.${index}`)),
  ];
}

function brokenRules(value: unknown, rules: Rules, path: string): string[] {
  if (typeof value !== "object" || value === null) return [`${path}: must be an object, got ${shortJson(value)}`];
  return Object.entries(rules).flatMap(([key, [fits, expected]]) => {
    const entry = (value as Record<string, unknown>)[key];
    return fits(entry) ? [] : [`${path && `${path}.`}${key}: must be ${expected}, got ${shortJson(entry)}`];
  });
}

function shortJson(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 80) ?? "nothing";
}
