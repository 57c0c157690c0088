import {
  type Activation,
  type CalibrationStatistics,
  type ChannelsWeight,
  type DenseWeight,
  type GatedRowsWeight,
  type LinearWeight,
  projections,
  toBf16,
  type WeightContext,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { dotTolerance, expectClose, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { type OracleMlp, oracleKeep, oracleNeurons, oracleTopk } from "./oracle.js";

const operations = createReference();
const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 8, contextLength: 64 };
const activations = { silu: (x: number) => x / (1 + Math.exp(-x)), relu: (x: number) => Math.max(0, x) };

function dense(rows: number[][]): DenseWeight {
  const data = Float32Array.from(rows.flat());
  return { format: "dense", dtype: "f32", outFeatures: rows.length, inFeatures: rows[0].length, data };
}

const matrix = (rows: number, width: number, seed: number) => {
  const random = new Seeded(seed);
  return Array.from({ length: rows }, () => Array.from(random.normals(width)));
};

const pluginFor = (given: object) => plugin.create(plugin.options.parse(given), model);

function contextOf(weight: DenseWeight, more: Partial<WeightContext> = {}): WeightContext {
  const statistics = { tokens: 0, sequences: 0 };
  return { layer: 2, projection: "up_proj", weight, original: weight, statistics, dtype: "f32", operations, ...more };
}

const sparsified = (given: object, weight: DenseWeight, more: Partial<WeightContext> = {}) =>
  pluginFor(given).sparsify(contextOf(weight, more));

/** One token through an MLP: hidden activations and output. */
function decode(mlp: OracleMlp, activation: Activation, up: LinearWeight, down: LinearWeight, token: number[]) {
  const x = Float32Array.from(token);
  const gate = new Float32Array(mlp.gate.length);
  const hidden = new Float32Array(mlp.gate.length);
  const y = new Float32Array(mlp.down.length);
  operations.linear(x, 1, operations.packWeight(dense(mlp.gate), "f32"), gate);
  if (up.format === "gated-rows") operations.gatedLinear(x, gate, up, activation, hidden);
  else {
    operations.linear(x, 1, operations.packWeight(dense(mlp.up), "f32"), hidden);
    operations.gatedActivation(gate, hidden, gate.length, activation);
    hidden.set(gate);
  }
  const packed = down.format === "channels" ? down : operations.packWeight(dense(mlp.down), "f32");
  operations.linear(hidden, 1, packed, y, false, 1);
  return { hidden, y };
}

const [hiddenSize, neurons] = [10, 32];
const mlpOf = (activation: keyof typeof activations): OracleMlp => ({
  gate: matrix(neurons, hiddenSize, 1),
  up: matrix(neurons, hiddenSize, 2),
  down: matrix(hiddenSize, neurons, 3),
  activation: activations[activation],
});

describe("lazy-neuron-topk", () => {
  it("k = 3 of a = (0, .2, .9, .2, 0, .7) keeps 2, 5 and of the tied .2 the lower index 1 (worked example)", () => {
    const down = dense([[1, 10, 100, 1000, 10000, 100000]]);
    const weight = sparsified({ keep: 3, rankBy: "hidden" }, down, { projection: "down_proj" });
    const y = new Float32Array(1);
    operations.linear(Float32Array.of(0, 0.2, 0.9, 0.2, 0, 0.7), 1, weight, y, false, 1);
    expect(y[0]).toBeCloseTo(0.9 * 100 + 0.7 * 100000 + 0.2 * 10, 2);
  });

  it("ranks by magnitude: -3 comes before 2", () => {
    const weight = sparsified({ keep: 1, rankBy: "hidden" }, dense([[1, 10]]), { projection: "down_proj" });
    const y = new Float32Array(1);
    operations.linear(Float32Array.of(2, -3), 1, weight, y, false, 1);
    expect(y[0]).toBe(-30);
  });

  it("with fewer than k neurons that are not zero, those alone count", () => {
    const up = sparsified({ keep: 3 }, dense([[1], [1], [1], [1]])) as GatedRowsWeight;
    const h = new Float32Array(4);
    operations.gatedLinear(Float32Array.of(1), Float32Array.of(-1, 5, -2, 0), up, "relu", h);
    expect(Array.from(h)).toEqual([0, 5, 0, 0]);
  });

  it.each((["gate", "hidden"] as const).flatMap((rankBy) => [0, 1, 7, 31, 32, 99].map((keep) => ({ rankBy, keep }))))(
    "rankBy $rankBy, k = $keep of 32 computes what the float64 oracle computes",
    ({ rankBy, keep }) => {
      const mlp = mlpOf("silu");
      const up = sparsified({ keep, rankBy }, dense(mlp.up));
      const down = sparsified({ keep, rankBy }, dense(mlp.down), { projection: "down_proj" });
      for (const token of matrix(5, hiddenSize, 9)) {
        const { y } = decode(mlp, "silu", up, down, token);
        expectClose(y, oracleTopk(mlp, token, keep, rankBy), { atol: 1e-4, rtol: 1e-5 });
      }
    },
  );

  it("error falls with k, on the mean over random tokens", () => {
    const mlp = mlpOf("silu");
    const tokens = matrix(40, hiddenSize, 10);
    const errors = [0, 4, 8, 16, 24].map((keep) => {
      const down = sparsified({ keep, rankBy: "hidden" }, dense(mlp.down), { projection: "down_proj" });
      return tokens.reduce((sum, token) => {
        const exact = oracleTopk(mlp, token, neurons, "hidden");
        const { y } = decode(mlp, "silu", dense(mlp.up), down, token);
        return sum + exact.reduce((square, value, c) => square + (value - y[c]) ** 2, 0);
      }, 0);
    });
    expect(errors).toEqual(errors.slice().sort((a, b) => b - a));
    expect(errors[4]).toBeLessThan(errors[0] / 20);
  });

  it("k = 0 leaves the bias of down_proj", () => {
    const bias = Float32Array.of(4, -5);
    const weight = { ...dense(matrix(2, 3, 1)), bias };
    const down = sparsified({ keep: 0, rankBy: "hidden" }, weight, { projection: "down_proj" });
    const y = new Float32Array(2);
    operations.linear(Float32Array.of(1, 2, 3), 1, down, y, false, 1);
    expect(y).toEqual(bias);
  });

  it.each([{ keep: 32 }, { keep: 33 }, { keepRatio: 1 }, { keep: 32, rankBy: "hidden" }])(
    "%j keeps every neuron, so that both matrices stay dense",
    (given) => {
      const { up, down } = mlpOf("silu");
      for (const [projection, weight] of [
        ["up_proj", dense(up)],
        ["down_proj", dense(down)],
      ] as const)
        expect(sparsified(given, weight, { projection })).toBe(weight);
    },
  );

  it("keepRatio keeps floor(f * keepRatio) neurons, half of them without options", () => {
    const { up } = mlpOf("silu");
    const keepOf = (given: object) => (sparsified(given, dense(up)) as GatedRowsWeight).selection;
    expect(keepOf({})).toEqual({ rule: "largest", keep: 16 });
    expect(keepOf({ keepRatio: 0.3 })).toEqual({ rule: "largest", keep: 9 });
    expect(keepOf({ keepRatio: 0 })).toEqual({ rule: "largest", keep: 0 });
  });

  it("rankBy gate makes up_proj gated rows and down_proj channels that skip zeros, in the asked type", () => {
    const { up, down } = mlpOf("silu");
    const rows = sparsified({ keep: 5 }, dense(up), { dtype: "bf16" });
    expect(rows).toMatchObject({ format: "gated-rows", dtype: "bf16", data: Uint16Array.from(up.flat(), toBf16) });
    const channels = sparsified({ keep: 5 }, dense(down), { projection: "down_proj" }) as ChannelsWeight;
    expect(channels.format).toBe("channels");
    expect(channels.selection).toEqual({ rule: "threshold", thresholds: Float32Array.of(0) });
  });

  it("rankBy hidden leaves up_proj as it is", () => {
    const weight = dense(mlpOf("silu").up);
    expect(sparsified({ keep: 5, rankBy: "hidden" }, weight)).toBe(weight);
  });

  it.each(projections.filter((name) => !["up_proj", "down_proj"].includes(name)))(
    "leaves %s as it is",
    (projection) => {
      const weight = dense(mlpOf("silu").up);
      for (const given of [{}, { mode: "nonzero" }, { keep: "auto" }])
        expect(sparsified(given, weight, { projection })).toBe(weight);
    },
  );

  it("needs no calibration text unless keep is auto", () => {
    expect(pluginFor({ keep: 5 })).toMatchObject({ statistics: [] });
    expect(pluginFor({ mode: "nonzero" }).survey).toBeUndefined();
    expect(pluginFor({ keep: "auto" }).statistics).toEqual(["inputs", "activatedGate"]);
    expect(pluginFor({ keep: "auto", rankBy: "hidden" }).statistics).toEqual(["inputs"]);
  });
});

describe("lazy-neuron-topk, mode nonzero", () => {
  it.each(["gate", "hidden"])("equals the dense ReLU MLP and skips its zeros (rankBy %s)", (rankBy) => {
    const mlp = mlpOf("relu");
    const given = { mode: "nonzero", rankBy };
    const up = sparsified(given, dense(mlp.up));
    const down = sparsified(given, dense(mlp.down), { projection: "down_proj" });
    for (const token of matrix(5, hiddenSize, 11)) {
      const { y, hidden } = decode(mlp, "relu", up, down, token);
      const plain = decode(mlp, "relu", dense(mlp.up), dense(mlp.down), token);
      expect(Array.from(hidden, (value) => value === 0)).toEqual(Array.from(plain.hidden, (value) => value === 0));
      const magnitude = hidden.reduce((sum, value) => sum + Math.abs(value), 0) * Math.max(...mlp.down.flat());
      expectClose(y, plain.y, dotTolerance("f32", hiddenSize + neurons, magnitude));
      expect(hidden.filter((value) => value === 0).length).toBeGreaterThan(neurons / 8);
    }
  });

  it("skips nothing of a SiLU model", () => {
    const mlp = mlpOf("silu");
    const up = sparsified({ mode: "nonzero" }, dense(mlp.up));
    const { hidden } = decode(mlp, "silu", up, dense(mlp.down), matrix(1, hiddenSize, 12)[0]);
    expect(hidden.every((value) => value !== 0)).toBe(true);
  });

  it("all gates at 0 leave y = 0", () => {
    const mlp = mlpOf("relu");
    const [up, down] = (["up_proj", "down_proj"] as const).map((projection) =>
      sparsified({ mode: "nonzero" }, dense(projection === "up_proj" ? mlp.up : mlp.down), { projection }),
    );
    const { y } = decode(mlp, "relu", up, down, new Array(hiddenSize).fill(0));
    expect(y).toEqual(new Float32Array(hiddenSize));
  });

  it("epsilon drops magnitudes up to it where neurons are ranked, and only there", () => {
    const selectionOf = (rankBy: string, projection: "up_proj" | "down_proj") =>
      (sparsified({ mode: "nonzero", epsilon: 0.5, rankBy }, dense([[1]]), { projection }) as ChannelsWeight).selection;
    expect(selectionOf("gate", "up_proj")).toEqual({ rule: "threshold", thresholds: Float32Array.of(0.5) });
    expect(selectionOf("gate", "down_proj")).toEqual({ rule: "threshold", thresholds: Float32Array.of(0) });
    expect(selectionOf("hidden", "down_proj")).toEqual({ rule: "threshold", thresholds: Float32Array.of(0.5) });
  });
});

describe("lazy-neuron-topk, keep: auto", () => {
  const mlp = mlpOf("silu");
  const tokens = matrix(12, hiddenSize, 13);
  const neuronsOf = tokens.map((token) => oracleNeurons(mlp, token));
  const flat = (rows: number[][]) => Float32Array.from(rows.flat());
  const statistics = { tokens: 12, sequences: 1 };
  const gateStatistics: CalibrationStatistics = {
    ...statistics,
    inputs: flat(tokens),
    activatedGate: flat(neuronsOf.map(({ gates }) => gates)),
  };
  const hiddenStatistics = { ...statistics, inputs: flat(neuronsOf.map(({ hidden }) => hidden)) };

  function surveyed(given: object): unknown {
    const { measure, combine } = pluginFor(given).survey!;
    const [up, down] = [contextOf(dense(mlp.up)), contextOf(dense(mlp.down), { projection: "down_proj" })];
    return structuredClone(combine([up, down].map((context) => ({ ...context, value: measure(context) }))));
  }

  function keepOf(given: object, rankBy: "gate" | "hidden"): number {
    const all = { keep: "auto", rankBy, ...given };
    const facts: Record<string, unknown>[] = [];
    const report = (fact: Record<string, unknown>) => facts.push(fact);
    if (rankBy === "hidden")
      sparsified(all, dense(mlp.down), { projection: "down_proj", statistics: hiddenStatistics, report });
    else sparsified(all, dense(mlp.up), { statistics: gateStatistics, survey: surveyed(all), report });
    return facts[0].keep as number;
  }

  it.each((["gate", "hidden"] as const).flatMap((rankBy) => [0.01, 0.5, 0.9, 0.99].map((mass) => ({ rankBy, mass }))))(
    "rankBy $rankBy takes the smallest k that holds $mass of the contributions",
    ({ rankBy, mass }) => {
      expect(keepOf({ keepMass: mass }, rankBy)).toBe(oracleKeep(mlp, tokens, mass, rankBy));
    },
  );

  it.each(["gate", "hidden"] as const)("keepMass 1 keeps all that contribute (rankBy %s)", (rankBy) => {
    expect(keepOf({ keepMass: 1 }, rankBy)).toBe(neurons);
  });

  it("uses that k: largest with rankBy hidden, and for down_proj channels that skip zeros with rankBy gate", () => {
    const given = { keep: "auto", rankBy: "hidden", keepMass: 0.5 };
    const context = { projection: "down_proj", statistics: hiddenStatistics } as const;
    const { selection } = sparsified(given, dense(mlp.down), context) as ChannelsWeight;
    expect(selection).toEqual({ rule: "largest", keep: oracleKeep(mlp, tokens, 0.5, "hidden") });
    const channels = sparsified({ keep: "auto" }, dense(mlp.down), { projection: "down_proj" }) as ChannelsWeight;
    expect(channels.selection).toEqual({ rule: "threshold", thresholds: Float32Array.of(0) });
  });

  it("hidden activations that are all 0 need no neuron", () => {
    const nothing = { ...statistics, inputs: new Float32Array(2 * neurons) };
    const context = { projection: "down_proj", statistics: nothing } as const;
    const { selection } = sparsified({ keep: "auto", rankBy: "hidden" }, dense(mlp.down), context) as ChannelsWeight;
    expect(selection).toEqual({ rule: "largest", keep: 0 });
  });

  it("rankBy gate without down_proj under the same entry is refused", () => {
    for (const survey of [undefined, [], [{ layer: 1, norms: new Float32Array(neurons) }]])
      expect(() => sparsified({ keep: "auto" }, dense(mlp.up), { statistics: gateStatistics, survey })).toThrow(
        expect.objectContaining({ code: "ERR_PLAN_CONFLICT" }),
      );
  });

  it.each([
    ["no inputs", undefined],
    ["inputs of no token", new Float32Array(0)],
    ["inputs of another width", new Float32Array(neurons + 1)],
    ["NaN among the inputs", new Float32Array(neurons).fill(Number.NaN)],
  ])("%s are refused", (_, inputs) => {
    const context = { projection: "down_proj", statistics: { ...statistics, ...(inputs && { inputs }) } } as const;
    expect(() => sparsified({ keep: "auto", rankBy: "hidden" }, dense(mlp.down), context)).toThrow(
      expect.objectContaining({ code: "ERR_CALIBRATION" }),
    );
  });
});

describe("lazy-neuron-topk with bad inputs", () => {
  it.each([
    { given: { keep: 1 }, projection: "up_proj" },
    { given: { keep: 1 }, projection: "down_proj" },
    { given: { mode: "nonzero", rankBy: "hidden" }, projection: "down_proj" },
  ] as const)("NaN weights of $projection are refused ($given)", ({ given, projection }) => {
    expect(() =>
      sparsified(
        given,
        dense([
          [Number.NaN, 1],
          [1, 1],
        ]),
        { projection },
      ),
    ).toThrow(expect.objectContaining({ code: "ERR_MODEL_TENSOR" }));
  });

  const problems = (given: object) => plugin.check!(plugin.options.parse(given), model);

  it("keep and keepRatio together are refused, and either with mode nonzero", () => {
    expect(problems({ keep: 5, keepRatio: 0.5 })).toMatchObject([{ path: ["keepRatio"] }]);
    expect(problems({ mode: "nonzero", keep: 5 })).toMatchObject([{ path: ["keep"] }]);
    expect(problems({ mode: "nonzero", keepRatio: 0 })).toMatchObject([{ path: ["keepRatio"] }]);
    for (const given of [{}, { keep: 0 }, { keep: "auto" }, { keepRatio: 0.1 }, { mode: "nonzero" }])
      expect(problems(given)).toEqual([]);
  });

  it.each([
    { keep: -1 },
    { keep: 1.5 },
    { keep: "most" },
    { keepRatio: 1.1 },
    { keepMass: 0 },
    { epsilon: -1 },
    { rankBy: "up" },
    { mode: "relu" },
    { k: 5 },
  ])("%j does not fit the schema", (given) => {
    expect(plugin.options.safeParse(given).success).toBe(false);
  });
});
