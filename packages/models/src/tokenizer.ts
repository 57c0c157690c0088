import { existsSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { WinnowError } from "@winnow/core";
import type { ModelConfig } from "./config.js";
import type { ModelFolder } from "./folder.js";
import { isJsonObject, type JsonObject, readJsonObject } from "./json.js";
import { findSpecialIds, type SpecialIds } from "./special-ids.js";
import { type PieceScheme, pieceScheme, TokenPieces } from "./token-pieces.js";
import { TokenStream } from "./token-stream.js";
import { checkTokenizerJson, type TokenizerJson } from "./tokenizer-json.js";

export interface EncodeOptions {
  /** What the model expects around a text, such as its beginning-of-sequence token. Default true. */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Leave special tokens out of the text. Default true. */
  readonly skipSpecialTokens?: boolean;
}

/** Text to token ids and back, for one model. Holds no state of a sequence. */
export class Tokenizer implements SpecialIds {
  readonly bosId: number | null;
  readonly eosIds: readonly number[];
  private readonly pieces: TokenPieces;

  constructor(
    private readonly library: LibraryTokenizer,
    private readonly json: TokenizerJson,
    private readonly scheme: PieceScheme,
    /** Rows of the model's embedding table: ids are below it. */
    readonly vocabSize: number,
    special: SpecialIds,
  ) {
    this.pieces = new TokenPieces(json, scheme);
    this.bosId = special.bosId;
    this.eosIds = special.eosIds;
  }

  /** Ids of a text. Special tokens written out in the text become their ids. Cost: O(characters), about 1 s for 1 MB of English. */
  encode(text: string, { addSpecialTokens = true }: EncodeOptions = {}): Int32Array {
    if (typeof text !== "string") {
      throw new WinnowError("ERR_PROMPT", `Cannot tokenise the prompt: it must be text, got ${typeof text}.`);
    }
    const { ids }: { ids: number[] } = this.library.encode(text, { add_special_tokens: addSpecialTokens });
    const lost = ids.findIndex((id) => !Number.isSafeInteger(id));
    if (lost >= 0) {
      throw new WinnowError(
        "ERR_TOKENIZER",
        `Cannot tokenise the prompt: tokenizer.json has no token for part ${lost} of it, and no unknown token.`,
      );
    }
    return Int32Array.from(ids);
  }

  /** Text of ids. Errors: `ERR_PROMPT` for an id outside the model's vocabulary. */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const stream = this.stream({ ...options, atStart: true });
    let text = "";
    for (const id of ids) text += stream.push(id);
    return text + stream.flush();
  }

  /**
   * A decoder for tokens that come one by one. `atStart` says that they begin a document; by default they continue one,
   * so that a leading space is kept.
   */
  stream({
    skipSpecialTokens = true,
    atStart = false,
  }: DecodeOptions & { readonly atStart?: boolean } = {}): TokenStream {
    const isHidden = (id: number) => {
      this.checkId(id);
      return skipSpecialTokens && this.json.specialIds.has(id);
    };
    return new TokenStream(this.pieces, isHidden, atStart && this.scheme.stripLeadingSpace);
  }

  /** Id of a token as written in tokenizer.json. */
  idOf(token: string): number | undefined {
    return this.json.ids.get(token);
  }

  /** Token as written in tokenizer.json; undefined for padding rows of the embedding table. */
  tokenOf(id: number): string | undefined {
    this.checkId(id);
    return this.pieces.token(id);
  }

  private checkId(id: number): void {
    if (!Number.isSafeInteger(id) || id < 0 || id >= this.vocabSize) {
      throw new WinnowError(
        "ERR_PROMPT",
        `Cannot decode token ids: each must be an integer in 0..${this.vocabSize - 1}, got ${id}.`,
      );
    }
  }
}

/**
 * Tokenizer of a model folder: tokenizer.json and, if there is one, tokenizer_config.json.
 * Errors: `ERR_TOKENIZER` if a file is missing, unsupported, contradicts itself or has ids that the embedding table has not.
 */
export function loadTokenizer(folder: ModelFolder, config: ModelConfig): Tokenizer {
  const path = join(folder.path, "tokenizer.json");
  if (!existsSync(path)) {
    throw new WinnowError(
      "ERR_TOKENIZER",
      `Cannot open the tokenizer of "${folder.path}": it must hold tokenizer.json. Save it with AutoTokenizer (tokenizer.model alone is not supported).`,
    );
  }
  const configPath = join(folder.path, "tokenizer_config.json");
  const tokenizerConfig = existsSync(configPath) ? readJsonObject(configPath, "ERR_TOKENIZER") : {};
  const json = checkTokenizerJson(readJsonObject(path, "ERR_TOKENIZER"), path, config.vocabSize);
  const { generationConfig, config: modelConfig } = folder;
  const special = findSpecialIds({
    tokenizerConfig,
    generationConfig,
    config: modelConfig,
    ids: json.ids,
    vocabSize: config.vocabSize,
  });
  return new Tokenizer(
    createLibrary(json, tokenizerConfig, path),
    json,
    pieceScheme(json, path),
    config.vocabSize,
    special,
  );
}

function createLibrary({ json }: TokenizerJson, tokenizerConfig: JsonObject, path: string): LibraryTokenizer {
  let probe: number;
  let library: LibraryTokenizer;
  try {
    library = new LibraryTokenizer({ ...json, pre_tokenizer: spellOutByteLevel(json.pre_tokenizer) }, tokenizerConfig);
    // Damaged steps show only when a text goes through them.
    library.encode("a");
    probe = library.encode("a", { add_special_tokens: false }).ids.length;
  } catch (cause) {
    throw new WinnowError(
      "ERR_TOKENIZER",
      `Cannot use "${path}": the tokenizer library refuses it: ${(cause as Error).message}. Use the tokenizer.json that belongs to the model.`,
      { cause },
    );
  }
  if (probe > 0) return library;
  throw new WinnowError(
    "ERR_TOKENIZER",
    `Cannot use "${path}": the text "a" must give tokens, got none, so one of its steps loses text. Use the tokenizer.json that belongs to the model.`,
  );
}

/** The pattern built into ByteLevel. */
const BYTE_LEVEL_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * Replaces ByteLevel's built-in pattern by the same one in a Split step. The library runs the built-in one with JavaScript's idea of white
 * space (U+FEFF is, U+0085 is not) but translates patterns of Split steps to that of the original tokenizers, where it is the reverse.
 */
function spellOutByteLevel(step: unknown): unknown {
  if (!isJsonObject(step)) return step;
  if (Array.isArray(step.pretokenizers)) return { ...step, pretokenizers: step.pretokenizers.map(spellOutByteLevel) };
  // A prefix space is added before the pattern applies, so the order would change.
  if (step.type !== "ByteLevel" || step.use_regex === false || step.add_prefix_space === true) return step;
  const split = { type: "Split", pattern: { Regex: BYTE_LEVEL_PATTERN }, behavior: "Isolated", invert: false };
  return { type: "Sequence", pretokenizers: [split, { ...step, use_regex: false }] };
}
