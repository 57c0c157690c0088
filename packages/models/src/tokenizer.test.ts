import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { type ModelConfig, parseModelConfig } from "./config.js";
import { openModelFolder } from "./folder.js";
import type { JsonObject } from "./json.js";
import { loadTokenizer, type Tokenizer } from "./tokenizer.js";

const modelPath = fileURLToPath(new URL("../../../models/winnow-16m-32k/", import.meta.url));
const recorded: Record<string, number[]> = JSON.parse(
  readFileSync(new URL("../fixtures/model/tokens.json", import.meta.url), "utf8"),
).tokenizer_ids;

const folder = openModelFolder(modelPath);
const config = parseModelConfig(folder.config);
const tokenizer = loadTokenizer(folder, config);

const root = mkdtempSync(join(tmpdir(), "winnow-tokenizer-"));
afterAll(() => rmSync(root, { recursive: true }));

/** A tokenizer from files written for one test; ids must be below 300. */
function tokenizerOf(json: unknown, tokenizerConfig: JsonObject = {}, generationConfig: JsonObject = {}): Tokenizer {
  const path = mkdtempSync(join(root, "t"));
  if (json !== undefined)
    writeFileSync(join(path, "tokenizer.json"), typeof json === "string" ? json : JSON.stringify(json));
  writeFileSync(join(path, "tokenizer_config.json"), JSON.stringify(tokenizerConfig));
  const none = { tensors: new Map(), matrices: new Map(), bitmasks: new Map(), addedBiases: [] };
  const small = { path, config: {}, generationConfig, ...none };
  return loadTokenizer(small, { ...config, vocabSize: 300 } as ModelConfig);
}

const modelVocabulary = JSON.parse(readFileSync(join(modelPath, "tokenizer.json"), "utf8")).model.vocab;
const byteTokens = Object.keys(modelVocabulary).filter((token) => [...token].length === 1);

/** Byte-level BPE over the 256 byte tokens and what a test adds. */
function byteLevel(merges: [string, string][] = [], changes: JsonObject = {}): JsonObject {
  const vocab = Object.fromEntries(
    [...byteTokens, ...merges.map((pair) => pair.join(""))].map((token, id) => [token, id]),
  );
  return {
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    added_tokens: [],
    model: { type: "BPE", vocab, merges },
    ...changes,
  };
}

/** SentencePiece BPE as Llama 2 writes it. */
const sentencePiece: JsonObject = {
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "\u2581" },
      { type: "Replace", pattern: { String: " " }, content: "\u2581" },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: {
    type: "Sequence",
    decoders: [
      { type: "Replace", pattern: { String: "\u2581" }, content: " " },
      { type: "ByteFallback" },
      { type: "Fuse" },
      { type: "Strip", content: " ", start: 1, stop: 0 },
    ],
  },
  added_tokens: [{ id: 0, content: "<unk>", special: true, normalized: false }],
  model: {
    type: "BPE",
    byte_fallback: true,
    unk_token: "<unk>",
    vocab: Object.fromEntries(
      [
        "<unk>",
        "\u2581",
        "a",
        "b",
        "\u2581a",
        ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
      ].map((token, id) => [token, id]),
    ),
    merges: ["\u2581 a"],
  },
};

const text =
  'It\'s 1984: na\u00efve caf\u00e9s \u2014 "\u4f60\u597d", \ud83d\ude00\ud83d\udc69\u200d\ud83d\udc67 e\u0301,\n\n\ttabs  and \ufeffBOM \u0000 end';

describe("Tokenizer", () => {
  it("encode reproduces the recorded ids of Hugging Face", () => {
    expect(Object.keys(recorded)).toHaveLength(3);
    for (const [prompt, ids] of Object.entries(recorded)) expect([...tokenizer.encode(prompt)]).toEqual(ids);
  });

  it("encode puts the beginning token first unless addSpecialTokens is false", () => {
    expect(tokenizer.bosId).toBe(0);
    expect([...tokenizer.encode("", {})]).toEqual([0]);
    expect([...tokenizer.encode("a", { addSpecialTokens: false })]).toEqual([...tokenizer.encode("a").subarray(1)]);
  });

  it("encode gives special tokens that are written out their ids", () => {
    expect([...tokenizer.encode("a<|eos|>", { addSpecialTokens: false })].at(-1)).toBe(1);
  });

  it("decode gives back the text, whatever its scripts", () => {
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect(tokenizer.decode([])).toBe("");
  });

  it("decode leaves special tokens out unless skipSpecialTokens is false", () => {
    const ids = tokenizer.encode("a<|eos|>b");
    expect(tokenizer.decode(ids)).toBe("ab");
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe("<|bos|>a<|eos|>b");
  });

  it.each([-1, 8192, 0.5, Number.NaN])("decode refuses the id %d", (id) => {
    expect(() => tokenizer.decode([id])).toThrow(expect.objectContaining({ code: "ERR_PROMPT" }));
  });

  it("encode splits U+FEFF and U+0085 as the original tokenizers do, not as JavaScript's white space", () => {
    // U+FEFF is no space there, so it shares a piece with the quote, and the last byte of it merges with it.
    const bom = tokenizerOf(byteLevel([["\u00bf", '"']]));
    expect(bom.encode('\ufeff"').length).toBe(3);
    // U+0085 is a space there, so the piece before it ends.
    const next = tokenizerOf(byteLevel([["!", "\u00c2"]]));
    expect(next.encode("!\u0085").length).toBe(3);
  });

  it("decode of SentencePiece tokens turns U+2581 into space, joins byte tokens, and drops the space that encode put first", () => {
    const llama2 = tokenizerOf(sentencePiece);
    expect([...llama2.encode("a b")]).toEqual([4, 1, 3]);
    expect(llama2.decode(llama2.encode("a b \u00e9\ud83d\ude00"))).toBe("a b \u00e9\ud83d\ude00");
    const stream = llama2.stream();
    expect(stream.push(4)).toBe(" a");
  });

  it("decode of a padding row of the embedding table is empty", () => {
    expect(tokenizerOf(byteLevel()).decode([299])).toBe("");
  });

  it("tokenOf and idOf name tokens as tokenizer.json does", () => {
    expect(tokenizer.tokenOf(0)).toBe("<|bos|>");
    expect(tokenizer.idOf("<|eos|>")).toBe(1);
    expect(tokenizer.idOf("no such token")).toBeUndefined();
  });

  it("bosId comes from tokenizer_config.json, whose null means none, and else from generation_config.json", () => {
    expect(tokenizerOf(byteLevel(), { bos_token: { content: "a" } }).bosId).toBe(tokenizerOf(byteLevel()).idOf("a"));
    expect(tokenizerOf(byteLevel(), { bos_token: null }, { bos_token_id: 5 }).bosId).toBeNull();
    expect(tokenizerOf(byteLevel(), {}, { bos_token_id: 5 }).bosId).toBe(5);
  });

  it("eosIds come from generation_config.json, one or several, and else from tokenizer_config.json", () => {
    expect(tokenizer.eosIds).toEqual([1]);
    expect(tokenizerOf(byteLevel(), { eos_token: "a" }, { eos_token_id: [5, 6] }).eosIds).toEqual([5, 6]);
    expect(tokenizerOf(byteLevel(), { eos_token: "a" }).eosIds).toHaveLength(1);
    expect(tokenizerOf(byteLevel()).eosIds).toEqual([]);
  });
});

describe("TokenStream", () => {
  it("push never splits a character: the texts are whole characters and join to the decoded whole", () => {
    const ids = tokenizer.encode(text, { addSpecialTokens: false });
    const stream = tokenizer.stream();
    const parts = [...ids].map((id) => stream.push(id));
    expect(parts.join("") + stream.flush()).toBe(text);
    expect(parts.filter((part) => /[\ufffd]|[\ud800-\udbff]$|^[\udc00-\udfff]/.test(part))).toEqual([]);
  });

  it("push holds a four-byte emoji back until its last byte and then gives it at once", () => {
    const bytes = tokenizerOf(byteLevel());
    const stream = bytes.stream();
    expect([...bytes.encode("\ud83d\ude00")].map((id) => stream.push(id))).toEqual(["", "", "", "\ud83d\ude00"]);
    expect(stream.flush()).toBe("");
  });

  it("flush gives U+FFFD for a character that stayed incomplete, and the stream starts anew", () => {
    const bytes = tokenizerOf(byteLevel());
    const stream = bytes.stream();
    const [first] = bytes.encode("\u00e9");
    expect(stream.push(first)).toBe("");
    expect(stream.flush()).toBe("\ufffd");
    expect(stream.push(bytes.idOf("x")!)).toBe("x");
  });

  it("push gives U+FFFD at once for bytes that cannot become a character, and goes on", () => {
    const bytes = tokenizerOf(byteLevel());
    const stream = bytes.stream();
    const [, continuation] = bytes.encode("\u00e9");
    expect(stream.push(continuation)).toBe("\ufffd");
    expect(stream.push(bytes.idOf("x")!)).toBe("x");
  });
});

describe("loadTokenizer", () => {
  const model = (change: JsonObject) => byteLevel([], { model: { ...(byteLevel().model as JsonObject), ...change } });
  const split = (change: JsonObject) =>
    byteLevel([], {
      pre_tokenizer: { type: "Split", pattern: { Regex: "a" }, behavior: "Isolated", invert: false, ...change },
    });
  const vocab = byteLevel().model as { vocab: Record<string, number> };

  it.each<[string, unknown, RegExp]>([
    ["a folder without tokenizer.json", undefined, /must hold tokenizer\.json/],
    ["a file that is not JSON", "{", /must be JSON/],
    ["a file without a model", byteLevel([], { model: undefined }), /"model" must be an object, got nothing/],
    ["another model than BPE", model({ type: "Unigram" }), /"model\.type" must be "BPE", got "Unigram"/],
    ["a negative id", model({ vocab: { a: -1 } }), /"model\.vocab\["a"\]" must be a non-negative integer, got -1/],
    [
      "an id beyond the embedding table",
      model({ vocab: { a: 300 } }),
      /must be below 300, the rows of the model's embedding table, got 300/,
    ],
    ["two tokens of one id", model({ vocab: { a: 1, b: 1 } }), /must be an id that "a" does not have, got 1/],
    ["an empty vocabulary", model({ vocab: {} }), /at least one token/],
    [
      "a vocabulary that lacks a byte",
      model({ vocab: Object.fromEntries(Object.entries(vocab.vocab).filter(([token]) => token !== "x")) }),
      /a token for each of the 256 bytes.*no "x"/,
    ],
    ["merges that are not a list", model({ merges: "a b" }), /"model\.merges" must be a list/],
    [
      "a merge of unknown tokens",
      model({ merges: [["a", "bc"]] }),
      /"model\.merges\[0\]" must be two tokens of the vocabulary/,
    ],
    [
      "a merge whose union is unknown",
      model({ merges: ["a b"] }),
      /a pair whose union is in the vocabulary, got "a b"/,
    ],
    ["subword prefixes", model({ continuing_subword_prefix: "##" }), /continuing_subword_prefix" must be null/],
    ["random merges", model({ dropout: 0.1 }), /dropout" must be null/],
    [
      "an added token beyond the embedding table",
      byteLevel([], { added_tokens: [{ id: 4096, content: "<x>" }] }),
      /"added_tokens\[0\]\.id" must be below 300/,
    ],
    ["an added token without content", byteLevel([], { added_tokens: [{ id: 1 }] }), /non-empty content/],
    [
      "an added token that contradicts the vocabulary",
      byteLevel([], { added_tokens: [{ id: 299, content: "a" }] }),
      /as in model\.vocab, got 299/,
    ],
    ["a split behaviour that the library does not know", split({ behavior: "MergedWithNext" }), /got "MergedWithNext"/],
    [
      "a pattern that could run for ever",
      split({ pattern: { Regex: "(a+)+$" } }),
      /a repeated group that repeats inside, got "\(a\+\)\+\$"/,
    ],
    ["a pattern that is no pattern", split({ pattern: { Regex: "(" } }), /the tokenizer library refuses it/],
    ["a pattern of unknown kind", split({ pattern: { Glob: "a" } }), /an object with the text Regex or String/],
    [
      "a template that is no list",
      byteLevel([], { post_processor: { type: "TemplateProcessing", single: true } }),
      /the tokenizer library refuses it/,
    ],
    [
      "a template without the text",
      byteLevel([], { post_processor: { type: "TemplateProcessing", single: [] } }),
      /the text "a" must give tokens, got none/,
    ],
    [
      "an unknown pre-tokenizer",
      byteLevel([], { pre_tokenizer: { type: "Magic" } }),
      /the tokenizer library refuses it.*Magic/,
    ],
    ["an unknown decoder", byteLevel([], { decoder: { type: "CTC" } }), /"decoder" must be ByteLevel, Metaspace or/],
    ["no decoder", byteLevel([], { decoder: null }), /"decoder" must be/],
  ])("loadTokenizer refuses %s", (_what, json, message) => {
    expect(() => tokenizerOf(json)).toThrow(
      expect.objectContaining({ code: "ERR_TOKENIZER", message: expect.stringMatching(message) }),
    );
  });

  it.each<[string, JsonObject, JsonObject, RegExp]>([
    [
      "a beginning token that is not in the vocabulary",
      { bos_token: "<none>" },
      {},
      /"bos_token" must be a token of tokenizer\.json, got "<none>"/,
    ],
    [
      "an end id beyond the embedding table",
      {},
      { eos_token_id: [1, 300] },
      /"eos_token_id" must be .* in 0\.\.299, got \[1,300\]/,
    ],
  ])("loadTokenizer refuses %s", (_what, tokenizerConfig, generationConfig, message) => {
    expect(() => tokenizerOf(byteLevel(), tokenizerConfig, generationConfig)).toThrow(message);
  });
});
