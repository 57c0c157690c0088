import { WinnowError } from "@winnow/core";
import { describe, isJsonObject } from "./json.js";
import type { TokenizerJson } from "./tokenizer-json.js";

/**
 * How tokens stand for bytes.
 * `byte-level` (GPT-2, Llama 3, Qwen): each character of a token is one byte.
 * `metaspace` (SentencePiece: Llama 2, Mistral): a token is text with U+2581 for space, and `<0x0A>` is one byte.
 */
export interface PieceScheme {
  readonly kind: "byte-level" | "metaspace";
  /** Text that starts a document loses one leading space, which the encoder had put there. */
  readonly stripLeadingSpace: boolean;
}

/** Reads the scheme from `decoder` of tokenizer.json; a chain of steps that this cannot reproduce is `ERR_TOKENIZER`. */
export function pieceScheme({ json, ids }: TokenizerJson, path: string): PieceScheme {
  const steps = decoderSteps(json.decoder);
  if (steps.length === 1 && steps[0].type === "ByteLevel") {
    const missing = [...byteOfChar.keys()].find((char) => !ids.has(char));
    if (missing !== undefined) {
      throw pieceError(
        path,
        "model.vocab",
        "hold a token for each of the 256 bytes, or text would be lost",
        `no "${missing}"`,
      );
    }
    return { kind: "byte-level", stripLeadingSpace: false };
  }
  if (steps.length > 0 && steps.every(isMetaspaceStep)) {
    return { kind: "metaspace", stripLeadingSpace: steps.some(stripsLeadingSpace) };
  }
  throw pieceError(
    path,
    "decoder",
    "be ByteLevel, Metaspace or the SentencePiece chain Replace, ByteFallback, Fuse, Strip",
    describe(json.decoder),
  );
}

/** Bytes of tokens, computed when first asked for and kept. */
export class TokenPieces {
  private readonly tokens: (string | undefined)[] = [];
  private readonly bytes: (Uint8Array | undefined)[] = [];

  constructor(
    private readonly json: TokenizerJson,
    private readonly scheme: PieceScheme,
  ) {
    for (const [token, id] of json.ids) this.tokens[id] = token;
  }

  /** The token as it stands in the vocabulary; undefined for ids of padding rows, which no text produces. */
  token(id: number): string | undefined {
    return this.tokens[id];
  }

  /** Bytes that the token adds to the text; none for padding rows. */
  of(id: number): Uint8Array {
    this.bytes[id] ??= this.toBytes(id, this.tokens[id] ?? "");
    return this.bytes[id];
  }

  private toBytes(id: number, token: string): Uint8Array {
    if (this.json.addedIds.has(id)) return utf8.encode(token);
    if (this.scheme.kind === "byte-level") return byteLevelBytes(token);
    const byte = this.json.byteFallback ? /^<0x([0-9A-F]{2})>$/.exec(token) : null;
    return byte ? Uint8Array.of(Number.parseInt(byte[1], 16)) : utf8.encode(token.replaceAll("\u2581", " "));
  }
}

const utf8 = new TextEncoder();

/** GPT-2's alphabet: printable Latin-1 characters stand for their own byte, the other 68 bytes for U+0100 and up, in order. */
const byteOfChar: ReadonlyMap<string, number> = (() => {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const map = new Map<string, number>();
  let shifted = 0x100;
  for (let byte = 0; byte < 256; byte++) map.set(String.fromCharCode(isPrintable(byte) ? byte : shifted++), byte);
  return map;
})();

function byteLevelBytes(token: string): Uint8Array {
  const bytes = Array.from(token, (char) => byteOfChar.get(char));
  return bytes.includes(undefined) ? utf8.encode(token) : Uint8Array.from(bytes as number[]);
}

type Step = Record<string, unknown>;

function decoderSteps(decoder: unknown): Step[] {
  if (!isJsonObject(decoder)) return [];
  if (decoder.type !== "Sequence") return [decoder];
  return Array.isArray(decoder.decoders) ? decoder.decoders.filter(isJsonObject) : [];
}

function isMetaspaceStep(step: Step): boolean {
  switch (step.type) {
    case "ByteFallback":
    case "Fuse":
      return true;
    case "Metaspace":
      return (step.replacement ?? "\u2581") === "\u2581";
    case "Replace":
      return isJsonObject(step.pattern) && step.pattern.String === "\u2581" && step.content === " ";
    case "Strip":
      return step.content === " " && step.start === 1 && step.stop === 0;
    default:
      return false;
  }
}

function stripsLeadingSpace(step: Step): boolean {
  if (step.type === "Strip") return true;
  return step.type === "Metaspace" && step.prepend_scheme !== "never" && step.add_prefix_space !== false;
}

function pieceError(path: string, key: string, expected: string, given: string): WinnowError {
  return new WinnowError(
    "ERR_TOKENIZER",
    `Cannot use "${path}": "${key}" must ${expected}, got ${given}. Use a model whose tokenizer is byte-level BPE or SentencePiece BPE.`,
  );
}
