import { fileURLToPath } from "node:url";
import { headsFirst, type PrefillEndContext } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { type OraclePrompt, oracleKept } from "./oracle.js";
import { poolVotes } from "./pooling.js";
import { groupScores, headVotes } from "./snapkv.js";

const operations = createReference();
const model = { layers: 1, queryHeads: 2, kvHeads: 1, headDim: 8, contextLength: 4096 };

function randomPrompt({ h, hKv, n, d, window }: Record<"h" | "hKv" | "n" | "d" | "window", number>): OraclePrompt {
  const random = new Seeded(3);
  const vectors = (count: number) => Array.from({ length: count }, () => Array.from(random.normals(d)));
  return {
    q: Array.from({ length: h }, () => vectors(Math.min(window, n))),
    k: Array.from({ length: hKv }, () => vectors(n)),
  };
}

function contextOf({ q, k }: OraclePrompt): PrefillEndContext {
  const view = (x: number[][][]) => headsFirst(Float32Array.from(x.flat(2)), x.length, x[0].length, x[0][0].length);
  const scale = 1 / Math.sqrt(q[0][0].length);
  return { model, layer: 0, q: view(q), k: view(k), v: view(k), scale, primitives: operations };
}

/** Kept tokens per KV head; undefined: all. */
function keptBy(given: object, prompt: OraclePrompt): number[][] | undefined {
  const pruner = plugin.create(plugin.options.parse(given), model);
  const kept = pruner.afterPrefill!(contextOf(prompt), pruner.createState());
  if (!kept) return undefined;
  return Array.from({ length: prompt.k.length }, (_, head) =>
    Array.from(kept.indices.subarray(kept.offsets[head], kept.offsets[head + 1])),
  );
}

/** A prompt whose scores are all equal. */
function flatPrompt(n: number, window: number): OraclePrompt {
  return { q: [Array.from({ length: window }, () => [0])], k: [Array.from({ length: n }, () => [1])] };
}

/**
 * One window query of width 1 at the end, that pays `attention[j]` to token j before it and (nearly) nothing to itself:
 * the scores are ln(attention), and q = 1.
 */
function promptPaying(attention: number[]): OraclePrompt {
  return { q: [[[1]]], k: [[...attention.map((weight) => [Math.log(weight)]), [-60]]] };
}

describe("snapkv pooling", () => {
  // Rows (.1, .2, .3, .1) and (.2, .1, .1, .3) over the first four keys.
  const mean = Float32Array.of(0.15, 0.15, 0.2, 0.2);

  it("avg of width 3 turns votes (.15, .15, .2, .2) into (.1, .1667, .1833, .1333) (worked example)", () => {
    const pooled = Array.from(poolVotes(mean, 3, "avg"), (x) => Number(x.toFixed(4)));
    expect(pooled).toEqual([0.1, 0.1667, 0.1833, 0.1333]);
  });

  it("max of width 3 turns them into (.15, .2, .2, .2) (worked example)", () => {
    expect(poolVotes(mean, 3, "max")).toEqual(Float32Array.of(0.15, 0.2, 0.2, 0.2));
  });

  it.each(["avg", "max"] as const)("%s of width 1 changes nothing", (pooling) => {
    expect(poolVotes(mean, 1, pooling)).toEqual(mean);
  });

  it("a kernel wider than the text counts zeros beyond both ends for avg, nothing for max", () => {
    expect(poolVotes(Float32Array.of(7), 7, "avg")).toEqual(Float32Array.of(1));
    expect(poolVotes(Float32Array.of(-7, -9), 7, "max")).toEqual(Float32Array.of(-7, -7));
  });

  it("votes sum over the queries of the window: 1 key before a window of 3 equal tokens gets 1/2 + 1/3 + 1/4", () => {
    const votes = headVotes(contextOf(flatPrompt(4, 3)), 0, 0, { poolKernel: 1, pooling: "avg" });
    expect(votes).toHaveLength(1);
    expect(votes[0]).toBeCloseTo(1 / 2 + 1 / 3 + 1 / 4, 6);
  });
});

describe("snapkv", () => {
  const attention = [0.15, 0.15, 0.2, 0.2];

  it.each(["avg", "max"])(
    "%s of width 3 keeps {1, 2} of votes (.15, .15, .2, .2), and the window (worked example)",
    (pooling) => {
      const options = { capacity: 3, observationWindow: 1, poolKernel: 3, pooling };
      expect(keptBy(options, promptPaying(attention))).toEqual([[1, 2, 4]]);
    },
  );

  it("poolKernel = 1 is plain observed attention", () => {
    const options = { capacity: 3, observationWindow: 1, poolKernel: 1 };
    expect(keptBy(options, promptPaying([0.1, 0.4, 0.1, 0.4]))).toEqual([[1, 3, 4]]);
  });

  it.each([
    { h: 2, hKv: 2, n: 50, d: 8, window: 4, capacity: 20, kernel: 5, pooling: "avg" },
    { h: 6, hKv: 2, n: 65, d: 8, window: 8, capacity: 9, kernel: 7, pooling: "max" },
    { h: 4, hKv: 1, n: 33, d: 4, window: 32, capacity: 33, kernel: 5, pooling: "avg" },
    { h: 4, hKv: 1, n: 34, d: 4, window: 32, capacity: 33, kernel: 3, pooling: "avg" },
    { h: 1, hKv: 1, n: 3, d: 2, window: 1, capacity: 2, kernel: 1, pooling: "avg" },
  ] as const)(
    "keeps what the float64 oracle keeps: h $h, hKv $hKv, n $n, window $window, capacity $capacity, $pooling $kernel",
    (c) => {
      const prompt = randomPrompt(c);
      const options = { capacity: c.capacity, observationWindow: c.window, poolKernel: c.kernel, pooling: c.pooling };
      const everything = Array.from({ length: c.hKv }, () => Array.from({ length: c.n }, (_, j) => j));
      expect(keptBy(options, prompt) ?? everything).toEqual(oracleKept(prompt, c));
    },
  );

  it("scores a KV head by the mean over its query heads", () => {
    const prompt = randomPrompt({ h: 6, hKv: 2, n: 40, d: 8, window: 4 });
    const context = contextOf(prompt);
    const options = { observationWindow: 4, poolKernel: 5, pooling: "avg" } as const;
    const scores = groupScores(context, options);
    const votes = [3, 4, 5].map((head) => headVotes(context, head, 1, options));
    for (let j = 0; j < 36; j++) expect(scores[40 + j]).toBeCloseTo((votes[0][j] + votes[1][j] + votes[2][j]) / 3, 6);
  });

  it("always keeps the window, and capacity tokens in all", () => {
    const prompt = randomPrompt({ h: 4, hKv: 2, n: 60, d: 8, window: 6 });
    for (const kept of keptBy({ capacity: 10, observationWindow: 6 }, prompt)!) {
      expect(kept).toHaveLength(10);
      expect(kept.slice(-6)).toEqual([54, 55, 56, 57, 58, 59]);
    }
  });

  it("keeps the lowest indices where all votes tie", () => {
    const options = { capacity: 5, observationWindow: 2, poolKernel: 3, pooling: "max" };
    expect(keptBy(options, flatPrompt(12, 2))).toEqual([[0, 1, 2, 10, 11]]);
  });

  it("avg votes less for the first and last (poolKernel - 1) / 2 tokens before the window, which zeros surround", () => {
    const options = { capacity: 5, observationWindow: 2, poolKernel: 3, pooling: "avg" };
    expect(keptBy(options, flatPrompt(12, 2))).toEqual([[1, 2, 3, 10, 11]]);
  });

  it.each([1, 5, 9, 10])("n = %i <= capacity 10 keeps everything", (n) => {
    const prompt = randomPrompt({ h: 2, hKv: 1, n, d: 4, window: 4 });
    expect(keptBy({ capacity: 10, observationWindow: 4 }, prompt)).toBeUndefined();
  });

  it.each([1, 31, 32])("n = %i <= observationWindow 32 keeps everything, for nothing can be scored", (n) => {
    const prompt = randomPrompt({ h: 2, hKv: 1, n, d: 4, window: 32 });
    expect(keptBy({ keepRatio: 0.5 }, prompt)).toBeUndefined();
  });

  it("keepRatio keeps floor(n * keepRatio) tokens, the window included", () => {
    const prompt = randomPrompt({ h: 2, hKv: 1, n: 41, d: 4, window: 4 });
    const [kept] = keptBy({ keepRatio: 0.25, observationWindow: 4 }, prompt)!;
    expect(kept).toHaveLength(10);
    expect(kept.slice(-4)).toEqual([37, 38, 39, 40]);
  });

  it("keepRatio below the window keeps the last tokens of it, at least one", () => {
    const prompt = randomPrompt({ h: 2, hKv: 1, n: 40, d: 4, window: 32 });
    expect(keptBy({ keepRatio: 0.1 }, prompt)).toEqual([[36, 37, 38, 39]]);
    expect(keptBy({ keepRatio: 0.01 }, prompt)).toEqual([[39]]);
  });

  it("asks for the last observationWindow queries and never prunes while decoding", () => {
    const pruner = plugin.create(plugin.options.parse({ observationWindow: 16 }), model);
    expect(pruner.observationQueries).toBe(16);
    expect(pruner.select ?? pruner.afterAttention).toBeUndefined();
  });
});

describe("snapkv options", () => {
  const problems = (given: object) => plugin.check!(plugin.options.parse(given), model);

  it("defaults keep 2048 tokens by a window of 32 and average pooling of width 5", () => {
    expect(plugin.options.parse({})).toEqual({ observationWindow: 32, poolKernel: 5, pooling: "avg" });
    expect(problems({})).toEqual([]);
    const prompt = { q: [Array.from({ length: 32 }, () => [0])], k: [Array.from({ length: 2049 }, () => [0])] };
    expect(keptBy({}, prompt)![0]).toHaveLength(2048);
  });

  it("capacity and keepRatio together are refused", () => {
    expect(problems({ capacity: 100, keepRatio: 0.5 })).toEqual([
      { path: ["keepRatio"], message: "keepRatio (0.5) cannot be combined with capacity (100). Give one of them." },
    ]);
  });

  it("capacity <= observationWindow is refused, for no place would be left to vote on", () => {
    expect(problems({ capacity: 32 })).toMatchObject([{ path: ["capacity"] }]);
    expect(problems({ observationWindow: 2048 })).toMatchObject([{ path: ["observationWindow"] }]);
    expect(problems({ capacity: 33 })).toEqual([]);
    expect(problems({ keepRatio: 0.5, observationWindow: 4096 })).toEqual([]);
  });

  it.each([
    { poolKernel: 4 },
    { poolKernel: 0 },
    { capacity: 1 },
    { keepRatio: 0 },
    { keepRatio: 1.1 },
    { observationWindow: 0 },
    { pooling: "avgpool" },
    { window: 32 },
  ])("%j does not fit the schema", (given) => {
    expect(plugin.options.safeParse(given).success).toBe(false);
  });
});

describe("snapkv fixtures", () => {
  const files = fixtureFiles("snapkv", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
