import { WinnowError } from "@winnow/core";
import { describe, isJsonObject, type JsonObject } from "./json.js";
import { hasNestedRepeat } from "./nested-repeat.js";

/** The parts of tokenizer.json that are checked here and used beside the library. */
export interface TokenizerJson {
  /** As the library takes it. */
  readonly json: JsonObject;
  /** Vocabulary and added tokens together. */
  readonly ids: ReadonlyMap<string, number>;
  readonly addedIds: ReadonlySet<number>;
  readonly specialIds: ReadonlySet<number>;
  readonly byteFallback: boolean;
}

type Fail = (key: string, expected: string, given: unknown) => never;

/**
 * Checks a parsed tokenizer.json before the library sees it, because the library trusts its input: wrong ids, lost merges and split
 * behaviours that it does not know would give wrong tokens without an error.
 *
 * Supported: BPE models. Errors: `ERR_TOKENIZER` names the key, what was given and what was expected.
 */
export function checkTokenizerJson(json: JsonObject, path: string, modelVocabSize: number): TokenizerJson {
  const fail: Fail = (key, expected, given) => {
    throw new WinnowError(
      "ERR_TOKENIZER",
      `Cannot use "${path}": "${key}" must be ${expected}, got ${describe(given)}. Use the tokenizer.json that belongs to the model.`,
    );
  };
  const model = json.model;
  if (!isJsonObject(model)) return fail("model", "an object", model);
  if (model.type !== "BPE") fail("model.type", '"BPE"', model.type);
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix", "dropout"]) {
    if (model[key]) fail(`model.${key}`, "null", model[key]);
  }
  const ids = readVocabulary(model.vocab, modelVocabSize, fail);
  checkMerges(model.merges, ids, fail);
  const added = readAddedTokens(json.added_tokens ?? [], ids, modelVocabSize, fail);
  checkPreTokenizer(json.pre_tokenizer, fail);
  return {
    json: { ...json, added_tokens: json.added_tokens ?? [] },
    ids,
    ...added,
    byteFallback: model.byte_fallback === true,
  };
}

function readVocabulary(vocab: unknown, modelVocabSize: number, fail: Fail): Map<string, number> {
  if (!isJsonObject(vocab)) return fail("model.vocab", "an object of token ids", vocab);
  const ids = new Map<string, number>();
  const owners = new Map<number, string>();
  for (const [token, id] of Object.entries(vocab)) {
    checkId(`model.vocab[${JSON.stringify(token)}]`, id, modelVocabSize, fail);
    const owner = owners.get(id);
    if (owner !== undefined) fail(`model.vocab[${JSON.stringify(token)}]`, `an id that "${owner}" does not have`, id);
    owners.set(id, token);
    ids.set(token, id);
  }
  if (ids.size === 0) fail("model.vocab", "a vocabulary with at least one token", vocab);
  return ids;
}

function checkMerges(merges: unknown, ids: ReadonlyMap<string, number>, fail: Fail): void {
  const list: unknown[] = Array.isArray(merges) ? merges : fail("model.merges", "a list of pairs", merges);
  const pairs = Array.isArray(list[0]);
  list.forEach((merge, index) => {
    const parts = pairs ? merge : typeof merge === "string" ? merge.split(" ") : undefined;
    if (!Array.isArray(parts) || parts.length !== 2 || !parts.every((part) => ids.has(part as string))) {
      fail(`model.merges[${index}]`, "two tokens of the vocabulary", merge);
    }
    if (!ids.has(parts.join(""))) fail(`model.merges[${index}]`, "a pair whose union is in the vocabulary", merge);
  });
}

function readAddedTokens(
  added: unknown,
  ids: Map<string, number>,
  modelVocabSize: number,
  fail: Fail,
): { addedIds: Set<number>; specialIds: Set<number> } {
  const list: unknown[] = Array.isArray(added) ? added : fail("added_tokens", "a list", added);
  const addedIds = new Set<number>();
  const specialIds = new Set<number>();
  for (const [index, token] of list.entries()) {
    if (!isJsonObject(token) || typeof token.content !== "string" || token.content === "") {
      fail(`added_tokens[${index}]`, "an object with non-empty content", token);
    }
    checkId(`added_tokens[${index}].id`, token.id, modelVocabSize, fail);
    const known = ids.get(token.content);
    if (known !== undefined && known !== token.id)
      fail(`added_tokens[${index}].id`, `${known}, as in model.vocab`, token.id);
    ids.set(token.content, token.id);
    addedIds.add(token.id);
    if (token.special === true) specialIds.add(token.id);
  }
  return { addedIds, specialIds };
}

function checkId(key: string, id: unknown, modelVocabSize: number, fail: Fail): asserts id is number {
  if (!Number.isSafeInteger(id) || (id as number) < 0) fail(key, "a non-negative integer", id);
  if ((id as number) >= modelVocabSize)
    fail(key, `below ${modelVocabSize}, the rows of the model's embedding table`, id);
}

/** Refuses what the library accepts but does differently from the original tokenizers (its README names these), and runaway patterns. */
function checkPreTokenizer(step: unknown, fail: Fail): void {
  if (!isJsonObject(step)) return;
  if (Array.isArray(step.pretokenizers)) for (const inner of step.pretokenizers) checkPreTokenizer(inner, fail);
  if (step.type === "Split") {
    const { behavior, invert } = step;
    if (behavior !== "Isolated" && behavior !== "Removed") {
      fail("pre_tokenizer behavior", 'one of "Isolated", "Removed"', behavior);
    }
    if (invert === true && behavior !== "Removed")
      fail("pre_tokenizer invert", 'false with behavior "Isolated"', invert);
  }
  if (step.pattern === undefined) return;
  const { Regex: regex, String: text } = isJsonObject(step.pattern) ? step.pattern : {};
  if (typeof regex !== "string" && typeof text !== "string") {
    fail("pre_tokenizer pattern", "an object with the text Regex or String", step.pattern);
  }
  if (typeof regex === "string" && hasNestedRepeat(regex)) {
    fail("pre_tokenizer pattern", "a pattern without a repeated group that repeats inside", regex);
  }
}
