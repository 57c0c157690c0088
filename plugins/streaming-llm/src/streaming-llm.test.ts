import { fileURLToPath } from "node:url";
import { type DecodeContext, headsFirst, type KvPruner, type PrefillEndContext } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectClose, expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { evictAfterStep, evictByRatio, evictForSpace } from "./evict.js";
import plugin from "./index.js";
import { type OracleStream, oracleStream } from "./oracle.js";
import { runStream } from "./stream.js";
import { streamingLlm } from "./streaming-llm.js";

const operations = createReference();

function randomStream({ h, hKv, n, d }: { h: number; hKv: number; n: number; d: number }): OracleStream {
  const random = new Seeded(11);
  const vectors = (heads: number) =>
    Array.from({ length: n }, () => Array.from({ length: heads }, () => Array.from(random.normals(d))));
  return { q: vectors(h), k: vectors(hKv), v: vectors(hKv) };
}

function tensors({ q, k, v }: OracleStream) {
  const view = (x: number[][][]) => {
    const headsOutside = x[0].flatMap((_, head) => x.flatMap((token) => token[head]));
    return headsFirst(Float32Array.from(headsOutside), x[0].length, x.length, x[0][0].length);
  };
  return { q: view(q), k: view(k), v: view(v) };
}

/** The state of a cache of `length` tokens when the token at `position` is decoded. */
function decodeContext(length: number, position: number, kvHeads = 1): DecodeContext {
  const k = headsFirst(new Float32Array(kvHeads * length * 2), kvHeads, length, 2);
  const model = { layers: 1, queryHeads: kvHeads, kvHeads, headDim: 2, contextLength: 1000 };
  return { model, layer: 0, step: 0, position, q: k, k, length, scale: 1, primitives: operations };
}

function keptAfterPrompt(pruner: KvPruner<null>, length: number, kvHeads = 1) {
  const { q, k, model, layer, scale, primitives } = decodeContext(length, length - 1, kvHeads);
  const context: PrefillEndContext = { model, layer, scale, primitives, q, k, v: k };
  return pruner.afterPrefill!(context, null);
}

describe("streaming-llm eviction", () => {
  it("s = 2, r = 3 keeps tokens [0, 1, 4, 5, 6] of 0..6 (worked example)", () => {
    expect(evictAfterStep(7, { sinkTokens: 2, recentTokens: 3 })).toEqual(Int32Array.of(0, 1, 4, 5, 6));
  });

  it("room for one more token in the cache [0, 1, 4, 5, 6] leaves [0, 1, 5, 6] (worked example)", () => {
    const cache = [0, 1, 4, 5, 6];
    const kept = evictForSpace(5, 1, { sinkTokens: 2, recentTokens: 3 })!;
    expect(Array.from(kept, (index) => cache[index])).toEqual([0, 1, 5, 6]);
  });

  it("length <= sinkTokens + recentTokens keeps everything", () => {
    const window = { sinkTokens: 2, recentTokens: 3 };
    for (let length = 1; length <= 5; length++) expect(evictAfterStep(length, window)).toBeUndefined();
    expect(evictAfterStep(6, window)).toEqual(Int32Array.of(0, 1, 3, 4, 5));
  });

  it("incoming > recentTokens leaves the sinks only", () => {
    expect(evictForSpace(9, 4, { sinkTokens: 2, recentTokens: 3 })).toEqual(Int32Array.of(0, 1));
    expect(evictForSpace(1, 9, { sinkTokens: 2, recentTokens: 3 })).toEqual(Int32Array.of(0));
  });

  it("incoming tokens fit exactly afterwards", () => {
    const window = { sinkTokens: 4, recentTokens: 16 };
    for (let incoming = 1; incoming <= 16; incoming++)
      expect(evictForSpace(20, incoming, window)).toHaveLength(20 - incoming);
  });

  it("sinkTokens = 0 is a plain window", () => {
    expect(evictAfterStep(5, { sinkTokens: 0, recentTokens: 2 })).toEqual(Int32Array.of(3, 4));
  });

  it("by ratio, n = 10 with half removed drops the 5 tokens behind the sinks", () => {
    expect(evictByRatio(10, 0.5, 2)).toEqual(Int32Array.of(0, 1, 7, 8, 9));
    expect(evictByRatio(8, 0.75, 4), "fewer places than sinks").toEqual(Int32Array.of(0, 1));
  });
});

describe("streaming-llm", () => {
  const small = { sinkTokens: 2, recentTokens: 3, positions: "cache" } as const;

  it.each([
    { h: 2, hKv: 2, n: 20, d: 8, sinkTokens: 2, recentTokens: 5, block: 4 },
    { h: 4, hKv: 2, n: 24, d: 8, sinkTokens: 4, recentTokens: 3, block: 15 },
    { h: 3, hKv: 1, n: 12, d: 4, sinkTokens: 0, recentTokens: 4, block: 1 },
    { h: 1, hKv: 1, n: 9, d: 2, sinkTokens: 1, recentTokens: 1, block: 3 },
    { h: 2, hKv: 1, n: 6, d: 4, sinkTokens: 4, recentTokens: 16, block: 2 },
  ])(
    "equals re-rotating all keys in each step: h $h, hKv $hKv, n $n, s $sinkTokens, r $recentTokens, block $block",
    (c) => {
      const stream = randomStream(c);
      const expected = oracleStream(stream, c.sinkTokens, c.recentTokens, c.block);
      const { output, kept } = runStream(
        streamingLlm({ ...c, positions: "cache" }),
        tensors(stream),
        c.block,
        operations,
      );
      expect(kept).toEqual(expected.kept);
      const wanted = tensors({ ...stream, q: expected.outputs }).q;
      // Float32 rotations of scores up to 10 or so: 10 * 6e-8 per score, then a weighted mean of values up to 2.
      expectClose(output.data, wanted.data, { atol: 1e-5, rtol: 0 });
    },
  );

  it("reads everything at the true position before the first eviction: dense attention exactly", () => {
    const pruner = streamingLlm(small);
    for (let length = 1; length <= 6; length++)
      expect(pruner.select!(decodeContext(length, length - 1), null)).toEqual({ read: "all" });
  });

  it("after an eviction sinks see the query at the end of the cache, recent tokens at its true position", () => {
    // Cached [0, 1, 4, 5, 6], decoding token 7.
    expect(streamingLlm(small).select!(decodeContext(6, 7), null)).toEqual({
      read: "parts",
      parts: [
        { start: 0, end: 2, queryPosition: 5 },
        { start: 2, end: 6, queryPosition: 7 },
      ],
    });
  });

  it("cached [0, 1, 2, 3, 6, 7, 8], decoding the 9th: distances are those of cache positions 0..7 (the paper's example)", () => {
    const plan = streamingLlm({ ...small, sinkTokens: 4 }).select!(decodeContext(8, 9), null);
    if (plan.read !== "parts") throw new Error("expected parts");
    const stored = [0, 1, 2, 3, 6, 7, 8, 9];
    const distances = plan.parts.flatMap(({ start, end, queryPosition }) =>
      stored.slice(start, end).map((position) => queryPosition - position),
    );
    expect(distances).toEqual([7, 6, 5, 4, 3, 2, 1, 0]);
  });

  it("positions original never changes what the query sees", () => {
    expect(streamingLlm({ ...small, positions: "original" }).select).toBeUndefined();
  });

  it("evicts the prompt after it was attended, alike in every KV head", () => {
    expect(keptAfterPrompt(streamingLlm(small), 5)).toBeUndefined();
    expect(keptAfterPrompt(streamingLlm(small), 7, 2)).toEqual({
      indices: Int32Array.of(0, 1, 4, 5, 6, 0, 1, 4, 5, 6),
      offsets: Int32Array.of(0, 5, 10),
    });
  });

  it("holds sinkTokens + recentTokens tokens after each step of a long stream", () => {
    const stream = randomStream({ h: 1, hKv: 1, n: 40, d: 2 });
    const { kept } = runStream(streamingLlm(small), tensors(stream), 10, operations);
    expect(kept).toHaveLength(31);
    for (const positions of kept) expect(positions).toHaveLength(5);
    expect(kept.at(-1)).toEqual([0, 1, 37, 38, 39]);
  });
});

describe("streaming-llm options", () => {
  it("defaults are the paper's 4 sinks and the reference's window of 512, positions counted in the cache", () => {
    expect(plugin.options.parse({})).toEqual({ sinkTokens: 4, recentTokens: 512, positions: "cache" });
  });

  it.each([{ sinkTokens: -1 }, { recentTokens: 0 }, { recentTokens: 2.5 }, { positions: "text" }, { sinks: 4 }])(
    "%j does not fit the schema",
    (given) => {
      expect(plugin.options.safeParse(given).success).toBe(false);
    },
  );
});

describe("streaming-llm fixtures", () => {
  const files = fixtureFiles("streaming-llm", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
