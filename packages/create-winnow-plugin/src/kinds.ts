import { type PluginKind, WinnowError } from "@winnow/core";
import { closest } from "fastest-levenshtein";

/** What a template makes: the kind as the user says it, and as the manifest does. */
export interface TemplateKind {
  readonly name: string;
  readonly contractKind: PluginKind;
  /** Of the generated method, one sentence; its package's description too. */
  readonly summary: string;
}

/** One template each, in order of a plugin's place in a run. */
export const templateKinds: readonly TemplateKind[] = [
  { name: "masker", contractKind: "masker", summary: "Of each few key blocks, attend to the one that fits best." },
  { name: "block-scorer", contractKind: "block-scorer", summary: "Attend to the key blocks whose mean fits best." },
  { name: "kv-evict", contractKind: "evict-scorer", summary: "After the prompt, keep the tokens with short keys." },
  {
    name: "kv-compress",
    contractKind: "element-scorer",
    summary: "Of older cache rows, store the large elements only.",
  },
  { name: "kv-select", contractKind: "kv-pruner", summary: "Every few layers, choose the tokens that the next read." },
  {
    name: "weight-sparsifier",
    contractKind: "weight-sparsifier",
    summary: "Skip the input channels that are small, token by token.",
  },
  {
    name: "weight-scorer",
    contractKind: "weight-scorer",
    summary: "Remove the weights that are small, counted by their inputs.",
  },
  { name: "kernel", contractKind: "kernel", summary: "Dense projections in plain TypeScript." },
];

export const kindNames: readonly string[] = templateKinds.map(({ name }) => name);

/** The template of a kind. Throws `ERR_USAGE` with the nearest name for one that does not exist. */
export function templateKind(name: string): TemplateKind {
  const found = templateKinds.find((kind) => kind.name === name);
  if (found) return found;
  const meant = templateKinds.find(({ contractKind }) => contractKind === name)?.name;
  throw usage(
    `Cannot make a plugin of kind ${JSON.stringify(name)}. Did you mean "${meant ?? closest(name.slice(0, 200), kindNames)}"?`,
  );
}

function usage(message: string): WinnowError {
  return new WinnowError("ERR_USAGE", `${message} Kinds: ${kindNames.join(", ")}.`);
}
