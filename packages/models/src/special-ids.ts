import { WinnowError } from "@winnow/core";
import { describe, isJsonObject, type JsonObject } from "./json.js";

export interface SpecialIds {
  /** Put before a text; null if the model has none. */
  readonly bosId: number | null;
  /** Any of these ends a generation. */
  readonly eosIds: readonly number[];
}

export interface SpecialIdSources {
  readonly tokenizerConfig: JsonObject;
  readonly generationConfig: JsonObject;
  readonly config: JsonObject;
  readonly ids: ReadonlyMap<string, number>;
  readonly vocabSize: number;
}

/**
 * Beginning: tokenizer_config.json decides if it has the key (null there means none), else generation_config.json, else config.json.
 * End: generation_config.json first, because generation in Hugging Face stops there, then config.json, then tokenizer_config.json.
 */
export function findSpecialIds(sources: SpecialIdSources): SpecialIds {
  const { tokenizerConfig, generationConfig, config } = sources;
  const bos =
    "bos_token" in tokenizerConfig
      ? namedId(sources, "bos_token")
      : (idList(sources, generationConfig, "bos_token_id")[0] ?? idList(sources, config, "bos_token_id")[0]);
  const eosLists = [
    () => idList(sources, generationConfig, "eos_token_id"),
    () => idList(sources, config, "eos_token_id"),
    () => [namedId(sources, "eos_token")].filter((id) => id !== undefined),
  ];
  let eosIds: number[] = [];
  for (const list of eosLists) if (eosIds.length === 0) eosIds = list();
  return { bosId: bos ?? null, eosIds };
}

/** tokenizer_config.json names tokens as text, or as an object with `content`. */
function namedId({ tokenizerConfig, ids }: SpecialIdSources, key: string): number | undefined {
  const value = tokenizerConfig[key];
  const token = isJsonObject(value) ? value.content : value;
  if (token === undefined || token === null) return undefined;
  const id = typeof token === "string" ? ids.get(token) : undefined;
  if (id === undefined) throw specialError(key, "a token of tokenizer.json", value);
  return id;
}

function idList({ vocabSize }: SpecialIdSources, source: JsonObject, key: string): number[] {
  const value = source[key] ?? [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  for (const id of list) {
    if (!Number.isSafeInteger(id) || (id as number) < 0 || (id as number) >= vocabSize) {
      throw specialError(key, `an id, or a list of ids, in 0..${vocabSize - 1}`, value);
    }
  }
  return list as number[];
}

function specialError(key: string, expected: string, given: unknown): WinnowError {
  return new WinnowError(
    "ERR_TOKENIZER",
    `Cannot find the special tokens: "${key}" must be ${expected}, got ${describe(given)}. Correct tokenizer_config.json, generation_config.json or config.json.`,
  );
}
