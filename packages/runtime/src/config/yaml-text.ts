import { type SourceLocation, WinnowError } from "@winnow/core";
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from "yaml";
import { forbiddenKeys } from "./forbidden-keys.js";
import { given } from "./given.js";
import { limits, tooDeepAt } from "./limits.js";
import type { Place, PlacedValue } from "./place.js";

/** What the text is, for messages and places. */
export interface YamlSource {
  /** Shown before line and column. */
  readonly file: string;
  /** Set for the value of a `--set` argument: then there are no line and column. */
  readonly argument?: string;
}

/**
 * Reads YAML 1.2 (JSON is part of it) as plain data: mappings with string keys, lists, strings, numbers, booleans, null.
 *
 * Anchors and aliases are allowed within {@link limits}; tags, directives, merge keys, repeated keys, several documents and
 * cycles are refused. Errors: `ERR_CONFIG_SYNTAX`, `ERR_OPTION_UNKNOWN` for keys that would reach an object's prototype.
 */
export function readYaml(text: string, source: YamlSource): PlacedValue {
  return new YamlReader(text, source).read();
}

interface Anchored extends PlacedValue {
  /** Values in it, itself included. */
  readonly size: number;
  /** Levels of nesting in it; 0: a scalar. */
  readonly height: number;
}

class YamlReader {
  readonly #lines = new LineCounter();
  /** Latest value of each anchor; undefined while that value is still being read. */
  readonly #anchors = new Map<string, Anchored | undefined>();
  #values = 0;
  #deepest = 0;

  constructor(
    readonly text: string,
    readonly source: YamlSource,
  ) {}

  read(): PlacedValue {
    const document = this.#parse();
    this.#refuseDocument(document);
    return this.#convert(document.contents, undefined, 0);
  }

  #parse(): Document.Parsed {
    if (Buffer.byteLength(this.text) > limits.bytes) throw this.#syntax(`more than ${limits.bytes} bytes`, 0);
    const deep = tooDeepAt(this.text);
    if (deep >= 0) {
      for (const newline of `\n${this.text}`.matchAll(/\n/g)) this.#lines.addNewLine(newline.index);
      throw this.#syntax(`more than ${limits.depth} levels of nesting`, deep);
    }
    // Repeated keys are found below: the parser's own search is quadratic.
    return parseDocument(this.text, {
      prettyErrors: false,
      version: "1.2",
      lineCounter: this.#lines,
      uniqueKeys: false,
    });
  }

  #refuseDocument(document: Document.Parsed): void {
    const [error] = document.errors;
    if (error?.code === "MULTIPLE_DOCS")
      throw this.#syntax("there must be one document, got a second one", error.pos[0]);
    if (error) throw this.#syntax(`${error.message[0].toLowerCase()}${error.message.slice(1)}`, error.pos[0]);
    const { directives, warnings } = document;
    if (
      directives?.yaml.explicit ||
      Object.keys(directives?.tags ?? {}).length > 1 ||
      warnings.some(({ code }) => code === "BAD_DIRECTIVE")
    ) {
      throw this.#syntax("directives (lines that start with %) are not supported", 0);
    }
  }

  #convert(node: Node | null, key: SourceLocation | undefined, depth: number): Anchored {
    const offset = node?.range?.[0] ?? (depth === 0 ? 0 : undefined);
    this.#count(1, offset);
    this.#reach(depth, offset);
    if (isAlias(node)) return this.#resolveAlias(node.source, { key, depth, offset });
    if (node?.tag) throw this.#syntax(`tags are not supported, got ${shortTag(node.tag)}`, offset);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor) this.#anchors.set(anchor, undefined);
    const before = { values: this.#values, deepest: this.#deepest };
    this.#deepest = depth;
    const location = this.#location(offset);
    const base = this.#basePlace(key, location ?? key);
    const [value, children] = this.#convertContent(node, depth);
    const size = this.#values - before.values + 1;
    const converted = { value, place: { ...base, children }, size, height: this.#deepest - depth };
    this.#deepest = Math.max(this.#deepest, before.deepest);
    if (anchor) this.#anchors.set(anchor, converted);
    return converted;
  }

  #convertContent(node: Node | null, depth: number): [unknown, Map<string | number, Place>] {
    const children = new Map<string | number, Place>();
    if (isMap(node)) return [this.#convertMap(node, children, depth), children];
    if (!isSeq(node)) return [isScalar(node) ? node.value : null, children];
    const list = node.items.map((item, index) => {
      const converted = this.#convert(item as Node | null, undefined, depth + 1);
      children.set(index, converted.place);
      return converted.value;
    });
    return [list, children];
  }

  #convertMap(node: YAMLMap, children: Map<string | number, Place>, depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (const pair of node.items) {
      const offset = (pair.key as Node | null)?.range?.[0] ?? node.range?.[0];
      const key = this.#readKey(pair.key as Node | null, offset);
      if (children.has(key)) throw this.#syntax(`key ${given(key)} is repeated`, offset);
      const converted = this.#convert(pair.value as Node | null, this.#location(offset), depth + 1);
      object[key] = converted.value;
      children.set(key, converted.place);
    }
    return object;
  }

  #readKey(node: Node | null, offset: number | undefined): string {
    if (isScalar(node) && node.tag) throw this.#syntax(`tags are not supported, got ${shortTag(node.tag)}`, offset);
    if (!isScalar(node) || typeof node.value !== "string") {
      const kind = isScalar(node) ? given(node.value) : isAlias(node) ? "an alias" : "a list or mapping";
      throw this.#syntax(`keys must be strings, got ${kind}`, offset);
    }
    if (node.value === "<<") throw this.#syntax('merge keys ("<<") are not supported', offset);
    if (forbiddenKeys.has(node.value))
      throw this.#error("ERR_OPTION_UNKNOWN", `key "${node.value}" is refused`, offset);
    return node.value;
  }

  #resolveAlias(
    name: string,
    { key, depth, offset }: { key: SourceLocation | undefined; depth: number; offset: number | undefined },
  ): Anchored {
    const target = this.#anchors.get(name);
    if (!target) {
      const problem = this.#anchors.has(name) ? `alias *${name} contains itself` : `alias *${name} has no anchor`;
      throw this.#syntax(problem, offset);
    }
    this.#count(target.size, offset);
    this.#reach(depth + target.height, offset);
    const base = this.#basePlace(key, this.#location(offset));
    return { ...target, place: { ...base, children: target.place.children } };
  }

  #reach(depth: number, offset: number | undefined): void {
    if (depth > limits.depth) throw this.#syntax(`more than ${limits.depth} levels of nesting`, offset);
    this.#deepest = Math.max(this.#deepest, depth);
  }

  #count(values: number, offset: number | undefined): void {
    this.#values += values;
    if (this.#values > limits.values) throw this.#syntax(`more than ${limits.values} values`, offset);
  }

  #basePlace(key: SourceLocation | undefined, value: SourceLocation | undefined): Place {
    const { argument } = this.source;
    if (argument !== undefined) return { origin: "set", argument, children: new Map() };
    return { origin: "yaml", ...(key && { key }), ...(value && { value }), children: new Map() };
  }

  #location(offset: number | undefined): SourceLocation | undefined {
    if (offset === undefined || this.source.argument !== undefined) return undefined;
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.source.file, line: Math.max(1, line), column: Math.max(1, col) };
  }

  #syntax(problem: string, offset: number | undefined): WinnowError {
    return this.#error("ERR_CONFIG_SYNTAX", problem, offset);
  }

  #error(code: "ERR_CONFIG_SYNTAX" | "ERR_OPTION_UNKNOWN", problem: string, offset: number | undefined): WinnowError {
    const location = this.#location(offset ?? 0);
    return new WinnowError(code, `Cannot read ${this.source.argument ?? this.source.file}: ${problem}.`, {
      ...(location && { location }),
    });
  }
}

function shortTag(tag: string): string {
  return tag.replace(/^tag:yaml\.org,2002:/, "!!");
}
