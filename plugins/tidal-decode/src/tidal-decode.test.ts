import { fileURLToPath } from "node:url";
import { headsFirst, type ModelShape, WinnowError } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectClose, expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { type OracleLayer, oracleStep } from "./oracle.js";
import { runLayer } from "./step.js";
import { selectTokens, tidalDecode } from "./tidal-decode.js";

const operations = createReference();

function randomLayers(
  layers: number,
  { h, hKv, n, d }: { h: number; hKv: number; n: number; d: number },
  seed = 5,
): OracleLayer[] {
  const random = new Seeded(seed);
  const vector = () => Array.from(random.normals(d));
  const heads = () => Array.from({ length: hKv }, () => Array.from({ length: n }, vector));
  return Array.from({ length: layers }, () => ({ q: Array.from({ length: h }, vector), k: heads(), v: heads() }));
}

function tensors({ q, k, v }: OracleLayer) {
  const cache = (x: number[][][]) => headsFirst(Float32Array.from(x.flat(2)), x.length, x[0].length, x[0][0].length);
  return { q: headsFirst(Float32Array.from(q.flat()), q.length, 1, q[0].length), k: cache(k), v: cache(v) };
}

function modelOf(layers: OracleLayer[]): ModelShape {
  const { q, k } = layers[0];
  const shape = { queryHeads: q.length, kvHeads: k.length, headDim: q[0].length };
  return { layers: layers.length, ...shape, contextLength: k[0].length };
}

const unforced = { sinkTokens: 0, recentTokens: 0 };

function runStep(layers: OracleLayer[], budget: number, selectionLayers: number[]) {
  const pruner = tidalDecode({ budget, selectionLayers, ...unforced });
  const state = pruner.createState();
  const model = modelOf(layers);
  return layers.map((layer, index) =>
    runLayer(pruner, state, tensors(layer), { model, layer: index, step: 0 }, operations),
  );
}

/** Scores q.k / sqrt(d) equal `scores` with d = 1 and q = 1; values are all zero but where a test reads them. */
function layerWithScores(scores: number[], values = scores.map(() => 0)) {
  return { q: [[1]], k: [scores.map((s) => [s])], v: [values.map((x) => [x])] };
}

describe("tidal-decode", () => {
  it("selects positions {1, 3} in layer 2 and gives layer 3 weights softmax(0, 1) over them (worked example)", () => {
    const dense = layerWithScores([0, 0, 0, 0, 0]);
    const selecting = layerWithScores([0.1, 2.0, -1.0, 1.5, 0.3], [0, 0, 1, 0, 0]);
    const reusing = layerWithScores([3.0, 0.0, 0.0, 1.0, 2.0], [100, 1, 100, 10, 100]);
    const steps = runStep([dense, dense, selecting, reusing], 2, [2]);

    const total = [0.1, 2.0, -1.0, 1.5, 0.3].reduce((sum, s) => sum + Math.exp(s), 0);
    expect(steps[2].output[0], "layer 2 uses all five tokens").toBeCloseTo(Math.exp(-1) / total, 6);
    expect(steps[3].plan).toMatchObject({ read: "lists", lists: { indices: Int32Array.of(1, 3) } });
    expect(steps[3].output[0]).toBeCloseTo(0.2689414 * 1 + 0.7310586 * 10, 5);
  });

  it.each([
    { h: 4, hKv: 4, n: 33, d: 8, budget: 5, selectionLayers: [1] },
    { h: 4, hKv: 2, n: 40, d: 8, budget: 7, selectionLayers: [0, 2] },
    { h: 6, hKv: 1, n: 17, d: 4, budget: 16, selectionLayers: [1, 2, 4] },
    { h: 2, hKv: 1, n: 2, d: 8, budget: 1, selectionLayers: [4] },
    { h: 2, hKv: 2, n: 1, d: 8, budget: 1, selectionLayers: [1] },
  ])("equals the float64 oracle in every layer: h $h, hKv $hKv, n $n, budget $budget, layers $selectionLayers", (c) => {
    const layers = randomLayers(5, c);
    const expected = oracleStep(layers, c.budget, c.selectionLayers);
    runStep(layers, c.budget, c.selectionLayers).forEach(({ plan, output }, layer) => {
      if (plan.read === "lists") expect(Array.from(plan.lists.indices)).toEqual(expected.attended[layer].flat());
      else expect(expected.attended[layer].every((tokens) => tokens.length === c.n)).toBe(true);
      // Weighted means of values up to 4: a few float32 roundings, 6e-8 of that each.
      expectClose(output, expected.outputs[layer].flat(), { atol: 1e-6, rtol: 0 });
    });
  });

  it("shares one list among the layers up to the next selection layer, another after it", () => {
    const plans = runStep(randomLayers(6, { h: 2, hKv: 1, n: 30, d: 8 }), 4, [1, 3]).map(({ plan }) => plan);
    expect(plans.map((plan) => plan.read)).toEqual(["all", "all", "lists", "all", "lists", "lists"]);
    const lists = plans.map((plan) => (plan.read === "lists" ? plan.lists : undefined));
    expect(lists[4]).toBe(lists[5]);
    expect(lists[2]).not.toEqual(lists[4]);
  });

  it("asks for scores in selection layers only", () => {
    const plans = runStep(randomLayers(4, { h: 2, hKv: 1, n: 30, d: 8 }), 4, [1, 3]).map(({ plan }) => plan);
    expect(plans.map((plan) => plan.read === "all" && plan.scores === true)).toEqual([false, true, false, true]);
  });

  it("gives each query head of a KV group its own list of budget tokens", () => {
    const [, , reusing] = runStep(randomLayers(3, { h: 4, hKv: 1, n: 60, d: 8 }), 6, [1]);
    if (reusing.plan.read !== "lists") throw new Error("expected lists");
    const { indices, offsets } = reusing.plan.lists;
    expect(Array.from(offsets)).toEqual([0, 6, 12, 18, 24]);
    const heads = [0, 1, 2, 3].map((head) => indices.slice(offsets[head], offsets[head + 1]).join());
    expect(new Set(heads).size).toBe(4);
  });

  it.each([1, 7, 8])("n = %i <= budget 8 reads everything in every layer and scores nothing", (n) => {
    const steps = runStep(randomLayers(4, { h: 2, hKv: 1, n, d: 4 }), 8, [1]);
    for (const { plan } of steps) expect(plan).toEqual({ read: "all" });
  });

  it("n = budget + 1 is the first length that uses lists", () => {
    const steps = runStep(randomLayers(3, { h: 2, hKv: 1, n: 9, d: 4 }), 8, [1]);
    expect(steps[2].plan.read).toBe("lists");
  });

  it("keeps the lowest indices when all scores are equal", () => {
    const { indices } = selectTokens(new Float32Array(20), 2, 10, { budget: 3, ...unforced }, operations);
    expect(Array.from(indices)).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it("keeps nothing by force, not even the new token, unless sinkTokens or recentTokens say so", () => {
    const scores = Float32Array.of(-9, 1, 4, 3, 2, -9);
    const select = (sinkTokens: number, recentTokens: number) =>
      Array.from(selectTokens(scores, 1, 6, { budget: 3, sinkTokens, recentTokens }, operations).indices);
    expect(select(0, 0)).toEqual([2, 3, 4]);
    expect(select(0, 1)).toEqual([2, 3, 5]);
    expect(select(1, 1)).toEqual([0, 2, 5]);
  });

  it("state survives structured cloning between two layers", () => {
    const layers = randomLayers(3, { h: 2, hKv: 1, n: 30, d: 8 });
    const model = modelOf(layers);
    const pruner = tidalDecode({ budget: 4, selectionLayers: [1], ...unforced });
    const state = pruner.createState();
    runLayer(pruner, state, tensors(layers[1]), { model, layer: 1, step: 0 }, operations);
    const at = { model, layer: 2, step: 0 };
    const here = runLayer(pruner, state, tensors(layers[2]), at, operations);
    const there = runLayer(pruner, structuredClone(state), tensors(layers[2]), at, operations);
    expect(there).toEqual(here);
  });

  it("two sequences of one pruner never share a list", () => {
    const [a, b] = [randomLayers(3, { h: 1, hKv: 1, n: 30, d: 8 }), randomLayers(3, { h: 1, hKv: 1, n: 30, d: 8 }, 77)];
    const pruner = tidalDecode({ budget: 4, selectionLayers: [1], ...unforced });
    const [stateA, stateB] = [pruner.createState(), pruner.createState()];
    const run = (layers: typeof a, state: typeof stateA, layer: number) =>
      runLayer(pruner, state, tensors(layers[layer]), { model: modelOf(a), layer, step: 0 }, operations);
    run(a, stateA, 1);
    run(b, stateB, 1);
    expect(run(a, stateA, 2).plan).toEqual(runStep(a, 4, [1])[2].plan);
    expect(run(b, stateB, 2).plan).toEqual(runStep(b, 4, [1])[2].plan);
  });

  it("a list of an earlier step is refused", () => {
    const layers = randomLayers(3, { h: 1, hKv: 1, n: 30, d: 8 });
    const model = modelOf(layers);
    const pruner = tidalDecode({ budget: 4, selectionLayers: [1], ...unforced });
    const state = pruner.createState();
    runLayer(pruner, state, tensors(layers[1]), { model, layer: 1, step: 0 }, operations);
    const next = () => runLayer(pruner, state, tensors(layers[2]), { model, layer: 2, step: 1 }, operations);
    expect(next).toThrow(WinnowError);
    expect(next).toThrow("Layer 2 of step 1 has no token list");
  });
});

describe("tidal-decode options", () => {
  const model: ModelShape = { layers: 4, queryHeads: 2, kvHeads: 1, headDim: 8, contextLength: 64 };
  const problems = (given: object) => plugin.check!(plugin.options.parse(given), model);

  it("defaults are the reference library's budget 256 and first selection layer 2, and fit", () => {
    expect(plugin.options.parse({})).toEqual({ budget: 256, selectionLayers: [2], sinkTokens: 0, recentTokens: 0 });
    expect(problems({})).toEqual([]);
  });

  it("selectionLayers beyond the last layer are refused by name of model.layers", () => {
    expect(problems({ selectionLayers: [2, 4] })).toEqual([
      {
        path: ["selectionLayers", 1],
        message: "selectionLayers must be below model.layers (4), got 4. Lower or remove it.",
      },
    ]);
  });

  it.each([[[2, 1]], [[2, 2]]])("selectionLayers %j do not ascend and are refused", (selectionLayers) => {
    const [problem] = problems({ selectionLayers });
    expect(problem.path).toEqual(["selectionLayers", 1]);
    expect(problem.message).toContain("must ascend without repeats");
  });

  it("more forced tokens than the budget are refused", () => {
    expect(problems({ budget: 4, sinkTokens: 3, recentTokens: 2 })).toMatchObject([{ path: ["budget"] }]);
  });

  it.each([
    { budget: 0 },
    { budget: 1.5 },
    { selectionLayers: [] },
    { selectionLayers: [-1] },
    { sinkTokens: -1 },
    { budgets: 3 },
  ])("%j does not fit the schema", (given) => {
    expect(plugin.options.safeParse(given).success).toBe(false);
  });
});

describe("tidal-decode fixtures", () => {
  const files = fixtureFiles("tidal-decode", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
