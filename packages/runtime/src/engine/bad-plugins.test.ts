import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngine, type Engine, type PipelineInput } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allTokens, modelFolder, someIds, withFolder, writePlugin } from "../../test-support/engines.js";

/** Two query blocks and a half, so that block 2 exists and is not whole. */
const prompt = { ids: someIds(150) };
const options = { maxNewTokens: 4, stop: { endOfSequence: false } };

type Kind = "masker" | "block-scorer" | "kv-pruner" | "evict-scorer" | "element-scorer";
type Case = [title: string, create: string, code: string, message: RegExp];

const pipelineOf = (kind: Kind, plugin: string): Partial<PipelineInput> => ({
  plugins: [plugin],
  ...(kind === "masker" || kind === "block-scorer"
    ? { prefill: { masker: `bad-${kind}` } }
    : { decode: { kvPruner: `bad-${kind}` } }),
});

/** Runs all cases in one engine: its plugin looks up in a file what it is to do, each time that it is asked. */
function testMistakes(kind: Kind, harmless: string, cases: readonly Case[]): void {
  let engine: Engine;
  let folder: string;
  const behave = (create: string) => writeFileSync(join(folder, "case.js"), `(${create})()`);
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "winnow-"));
    behave(harmless);
    const lookUp = `() => new Proxy({}, {
      get: (_, name) => eval(process.getBuiltinModule("fs").readFileSync(${JSON.stringify(join(folder, "case.js"))}, "utf8"))[name],
    })`;
    const plugin = writePlugin(folder, `bad-${kind}`, kind, lookUp);
    engine = await createEngine({ model: modelFolder, threads: 1, ...pipelineOf(kind, plugin) });
  });
  afterAll(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });

  test.each(cases)("%s", async (_, create, code, message) => {
    behave(create);
    await expect(allTokens(engine.generate(prompt, options))).rejects.toMatchObject({
      code,
      plugin: `bad-${kind}`,
      message: expect.stringMatching(message),
    });
    behave(harmless);
    expect(await allTokens(engine.generate(prompt, options))).toHaveLength(4);
  });
}

const failed = "ERR_PLUGIN_FAILED";
const result = "ERR_PLUGIN_RESULT";

describe("A masker's mistake is one error with its name, and the engine goes on:", () => {
  const masks = (source: string) => `() => ({ plan: ({ heads, q }) => ${source} })`;
  testMistakes("masker", `() => ({ plan: () => [{ form: "dense" }] })`, [
    ["plan throws", `() => ({ plan() { throw new Error("boom"); } })`, failed, /plan: boom/],
    ["plan throws no Error", `() => ({ plan() { throw "boom"; } })`, failed, /plan: boom/],
    ["plan returns nothing", masks("undefined"), result, /1 or 6 masks, got undefined/],
    ["plan returns a promise", `() => ({ async plan() { return [{ form: "dense" }]; } })`, result, /1 or 6 masks/],
    ["plan returns too few", masks(`[{ form: "dense" }, { form: "dense" }]`), result, /1 or 6 masks, got 2/],
    ["a mask is null", masks("[null]"), result, /must be an object, got null/],
    ["a form does not exist", masks(`[{ form: "diagonal" }]`), result, /form must be .*got "diagonal"/],
    [
      "a bitmap is too short",
      masks(`[{ form: "blocks", blockSize: 64, bits: new Uint8Array(8) }]`),
      result,
      /9 elements, got 8/,
    ],
    [
      "a bitmap row is empty",
      masks(`[{ form: "blocks", blockSize: 64, bits: new Uint8Array(9) }]`),
      result,
      /row block 0/,
    ],
    [
      "a block size is NaN",
      masks(`[{ form: "blocks", blockSize: NaN, bits: new Uint8Array(9) }]`),
      result,
      /blockSize .*NaN/,
    ],
    [
      "a band is NaN",
      masks(`[{ form: "band", sinkTokens: NaN, recentTokens: 4, denseFromRow: 9 }]`),
      result,
      /sinkTokens .*NaN/,
    ],
    [
      "columns are out of range",
      masks(`[{ form: "vertical-slash", columns: Int32Array.of(q.length), slashes: Int32Array.of(0), exact: false }]`),
      result,
      /columns\[0\] must be in 0\.\.149, got 150/,
    ],
    [
      "ranges are out of range",
      masks(`[{ form: "ranges", blockSize: 256, rangeOffsets: Int32Array.of(0, 1), ranges: Int32Array.of(0, 999),
        rangeFlags: new Uint8Array(1), columnOffsets: Int32Array.of(0, 0), columns: new Int32Array(0), bands: [] }]`),
      result,
      /999/,
    ],
    [
      "a primitive is misused",
      `() => ({ plan({ primitives }) { primitives.topK(new Float32Array(2), 5); } })`,
      failed,
      /plan: /,
    ],
  ]);
});

describe("A block scorer's mistake is one error with its name, and the engine goes on:", () => {
  const scorer = (score: string, rest = "keepBlocks: 1") =>
    `() => ({ blockSize: 64, sinkBlocks: 1, recentBlocks: 1, ${rest}, score: () => ${score} })`;
  testMistakes("block-scorer", scorer("new Float32Array(9)"), [
    ["score throws", scorer(`{ throw new Error("boom"); }`), failed, /boom/],
    ["too few scores", scorer("new Float32Array(4)"), result, /3 x 3 numbers, got 4/],
    ["scores are NaN", scorer("new Float32Array(9).fill(NaN)"), failed, /NaN/],
    ["keepBlocks is NaN", scorer("new Float32Array(9)", "keepBlocks: NaN"), failed, /NaN/],
  ]);
});

describe("A KV pruner's mistake is one error with its name, and the engine goes on:", () => {
  const pruner = (hooks: string) => `() => ({ createState: () => ({}), ${hooks} })`;
  const select = (plan: string) => pruner(`select: ({ q, length, position }) => (${plan})`);
  const lists = (indices: string, offsets = "Int32Array.from({ length: 7 }, (_, h) => 2 * h)") =>
    select(`{ read: "lists", lists: { indices: Int32Array.from(${indices}), offsets: ${offsets} } }`);
  const pairs = (a: string, b: string) => `Array.from({ length: 12 }, (_, i) => (i % 2 ? ${b} : ${a}))`;
  const kept = (value: string) => pruner(`afterPrefill: ({ k }) => (${value})`);
  testMistakes("kv-pruner", pruner(""), [
    ["createState throws", `() => ({ createState() { throw new Error("boom"); } })`, failed, /createState: boom/],
    ["select throws", pruner(`select() { throw new Error("boom"); }`), failed, /select: boom/],
    ["select returns nothing", select("undefined"), result, /must be an object, got undefined/],
    ["read does not exist", select(`{ read: "some" }`), result, /got "some"/],
    ["lists are missing", select(`{ read: "lists" }`), result, /must be Int32Array/],
    [
      "lists are plain arrays",
      select(`{ read: "lists", lists: { indices: [0], offsets: [0, 1] } }`),
      result,
      /Int32Array/,
    ],
    ["offsets do not fit", lists("[0]", "Int32Array.of(0, 1)"), result, /7 entries from 0 to 1/],
    ["a list is empty", lists(pairs("0", "1"), "Int32Array.of(0, 0, 2, 4, 6, 8, 12)"), result, /head 0 reads no token/],
    ["a list is unsorted", lists(pairs("1", "0")), result, /index 0 after 1/],
    ["a list repeats", lists(pairs("1", "1")), result, /index 1 after 1/],
    ["an index is out of range", lists(pairs("0", "length")), result, /within \[0, 151\)/],
    ["parts are missing", select(`{ read: "parts" }`), result, /parts must be an array/],
    [
      "parts have a hole",
      select(`{ read: "parts", parts: [{ start: 1, end: length, queryPosition: 0 }] }`),
      result,
      /cover/,
    ],
    [
      "parts are fractions",
      select(
        `{ read: "parts", parts: [{ start: 0, end: 1.5, queryPosition: 0 }, { start: 1.5, end: length, queryPosition: 0 }] }`,
      ),
      result,
      /cover/,
    ],
    [
      "parts end early",
      select(`{ read: "parts", parts: [{ start: 0, end: 1, queryPosition: 0 }] }`),
      result,
      /they end at 1/,
    ],
    [
      "a query position is ahead",
      select(`{ read: "parts", parts: [{ start: 0, end: length, queryPosition: position + 1 }] }`),
      result,
      /0\.\.150/,
    ],
    [
      "observe throws",
      pruner(`select: () => ({ read: "all", scores: true }), observe() { throw new Error("boom"); }`),
      failed,
      /observe: boom/,
    ],
    ["afterAttention throws", pruner(`afterAttention() { throw new Error("boom"); }`), failed, /afterAttention: boom/],
    [
      "afterAttention keeps garbage",
      pruner(`afterAttention: () => ({ indices: Int32Array.of(0, 0), offsets: Int32Array.of(0, 1, 9) })`),
      result,
      /offsets/,
    ],
    ["afterPrefill throws", pruner(`afterPrefill() { throw new Error("boom"); }`), failed, /afterPrefill: boom/],
    ["afterPrefill returns a number", kept("42"), result, /must be Int32Array/],
    [
      "afterPrefill offsets do not fit",
      kept("{ indices: Int32Array.of(0, 1), offsets: Int32Array.of(0, 2) }"),
      result,
      /3 entries from 0 to 2/,
    ],
    [
      "afterPrefill empties a head",
      kept("{ indices: Int32Array.of(0, 1), offsets: Int32Array.of(0, 2, 2) }"),
      result,
      /head 1 keeps no token/,
    ],
    [
      "afterPrefill keeps what is not there",
      kept("{ indices: Int32Array.of(0, 150), offsets: Int32Array.of(0, 1, 2) }"),
      result,
      /150/,
    ],
    [
      "state holds a function",
      "() => ({ createState: () => ({ f: () => 1 }) })",
      result,
      /cannot go to another worker/,
    ],
    [
      "a hook puts a function into the state",
      `() => ({ createState: () => ({}), select: (_, state) => { state.f = () => 1; return { read: "all" }; } })`,
      result,
      /cannot go to another worker/,
    ],
  ]);
});

describe("An eviction scorer's mistake is one error with its name, and the engine goes on:", () => {
  const scorer = (score: string, budget = "10") =>
    `() => ({ sinkTokens: 1, recentTokens: 1, budget: () => ${budget}, score: () => ${score} })`;
  testMistakes("evict-scorer", scorer("new Float32Array(300)"), [
    ["score throws", scorer(`{ throw new Error("boom"); }`), failed, /boom/],
    ["too few scores", scorer("new Float32Array(4)"), result, /2 x 150 numbers, got 4/],
    ["scores are NaN", scorer("new Float32Array(300).fill(NaN)"), failed, /NaN/],
    ["the budget is 0", scorer("new Float32Array(300)", "0"), result, /no token/],
    ["the budget is NaN", scorer("new Float32Array(300)", "NaN"), failed, /NaN/],
    ["the budget is a fraction", scorer("new Float32Array(300)", "10.5"), failed, /./],
  ]);
});

describe("A compressing pruner's mistake is one error with its name, and the engine goes on:", () => {
  const compress = (source: string, more = "") =>
    `() => ({ createState: () => null, compress({ k, v, compressed }) { return ${source}; }, ${more} })`;
  /** Keeps the first `kept` elements of 2 x 10 rows. */
  const first = (kept: number) =>
    `{ kept: ${kept}, indices: Uint16Array.from({ length: 20 * ${kept} }, (_, i) => i % ${kept}) }`;
  const elements = (k: string, v = first(3)) => compress(`compressed ? undefined : { count: 10, k: ${k}, v: ${v} }`);
  const count = (source: string) => compress(`{ count: ${source}, k: ${first(3)}, v: ${first(3)} }`);
  const then = (hook: string) =>
    compress(`compressed ? undefined : { count: 10, k: ${first(3)}, v: ${first(3)} }`, hook);
  testMistakes("kv-pruner", elements(first(3)), [
    ["compress throws", compress(`(() => { throw new Error("boom"); })()`), failed, /compress: boom/],
    ["compress returns a number", compress("42"), result, /it must be an object, got 42/],
    ["no token stays uncompressed", count("150"), result, /count must be in 1\.\.149, .*got 150/],
    ["no token is compressed", count("0"), result, /count must be in 1\.\.149, .*return undefined for none/],
    ["the count is a fraction", count("1.5"), result, /count must be in 1\.\.149/],
    ["K is missing", elements("undefined"), result, /k\.kept must be in 1\.\.64, got undefined/],
    ["no element is kept", elements("{ kept: 0, indices: new Uint16Array(0) }"), result, /k\.kept must be in 1\.\.64/],
    ["65 of 64 elements are kept", elements(first(3), first(65)), result, /v\.kept must be in 1\.\.64, got 65/],
    [
      "indices are Int32",
      elements("{ kept: 1, indices: new Int32Array(20) }"),
      result,
      /k\.indices must be a Uint16Array/,
    ],
    ["indices are too short", elements("{ kept: 2, indices: new Uint16Array(39) }"), result, /of 2 x 10 x 2, got 39/],
    [
      "an element repeats",
      elements("{ kept: 2, indices: new Uint16Array(40) }"),
      result,
      /k of KV head 0, token 0 has element 0 after 0/,
    ],
    [
      "an element is out of range",
      elements("{ kept: 1, indices: new Uint16Array(20).fill(64, 13) }"),
      result,
      /KV head 1, token 3 has element 64 .*within \[0, 64\)/,
    ],
    [
      "another number of elements the second time",
      compress(`k.length < 20 ? undefined : { count: 10, k: compressed ? ${first(3)} : ${first(4)}, v: ${first(3)} }`),
      result,
      /k keeps 3 elements of each row, but the rows compressed before keep 4/,
    ],
    [
      "lists are read of compressed tokens",
      then(
        `select: ({ length }) => ({ read: "lists", lists: { indices: new Int32Array(6), offsets: Int32Array.of(0, 1, 2, 3, 4, 5, 6) } })`,
      ),
      result,
      /compressed tokens, which are read whole .*got read "lists"/,
    ],
    [
      "scores of compressed tokens are wanted",
      then(`select: () => ({ read: "all", scores: true }), observe() {}`),
      result,
      /without scores.*with scores/,
    ],
    [
      "tokens are evicted after others were compressed",
      then(`afterAttention: () => ({ indices: Int32Array.of(0, 0), offsets: Int32Array.of(0, 1, 2) })`),
      result,
      /evicts tokens of a layer that holds compressed ones/,
    ],
    [
      "heads are left with different numbers of tokens and then compressed",
      then(`afterPrefill: () => ({ indices: Int32Array.of(0, 0, 1), offsets: Int32Array.of(0, 1, 3) })`),
      result,
      /KV heads hold 1, 2 tokens/,
    ],
  ]);
});

describe("An element scorer's mistake is one error with its name, and the engine goes on:", () => {
  const scorer = (score: string, kept = "({ k: 3, v: 3 })") =>
    `() => ({ recentTokens: 50, groupTokens: 100, kept: () => ${kept}, score: () => ${score} })`;
  testMistakes("element-scorer", scorer("new Float32Array(2 * 100 * 64)"), [
    ["score throws", scorer(`{ throw new Error("boom"); }`), failed, /boom/],
    ["too few scores", scorer("new Float32Array(4)"), result, /2 x 100 x 64 numbers, got 4/],
    ["scores are NaN", scorer("new Float32Array(2 * 100 * 64).fill(NaN)"), failed, /NaN/],
    ["no element is kept", scorer("new Float32Array(2 * 100 * 64)", "({ k: 0, v: 3 })"), result, /in 1\.\.64, got 0/],
    ["kept is a number", scorer("new Float32Array(2 * 100 * 64)", "3"), result, /got undefined/],
  ]);
});

describe("createEngine refuses a plugin whose create", () => {
  const mistakes: [Kind, string, string, RegExp][] = [
    ["masker", `() => { throw new Error("boom"); }`, failed, /create: boom/],
    ["masker", "() => undefined", result, /must have a method plan, got undefined/],
    ["block-scorer", "() => ({ score: 1 })", result, /must have a method score, got number/],
    ["kv-pruner", `() => { throw new Error("boom"); }`, failed, /create: boom/],
    ["kv-pruner", "() => ({})", result, /must have a method createState/],
    ["evict-scorer", "() => ({ score() {} })", result, /must have a method budget/],
    ["element-scorer", "() => ({ score() {} })", result, /must have a method kept/],
  ];
  test.each(mistakes)("of a %s is %s", (kind, create, code, message) =>
    withFolder(async (folder) => {
      const pipeline = pipelineOf(kind, writePlugin(folder, `bad-${kind}`, kind, create));
      await expect(createEngine({ model: modelFolder, ...pipeline })).rejects.toMatchObject({
        code,
        plugin: `bad-${kind}`,
        message: expect.stringMatching(message),
      });
    }),
  );
});
