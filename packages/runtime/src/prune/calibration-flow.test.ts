import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Projection, projections } from "@winnow/core";
import { loadSafetensors, loadTokenizer, type ModelConfig, openModelFolder, readModelConfig } from "@winnow/models";
import { prune } from "@winnow/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { writePlugin } from "../../test-support/engines.js";
import { type Matrix, matrixOf, type NaiveInputs, naiveLayer } from "../../test-support/naive-layer.js";
import { someText, tinyPipeline, writeTinyModel } from "../../test-support/tiny-model.js";
import { tempFolder } from "../testing/temp-packages.js";
import { seededWindows } from "./sample-windows.js";

/**
 * The sparsifier under test writes down the statistics that it gets and zeroes every second column. The oracle runs the same model in float64 loops:
 * dense statistics of a layer on inputs that come out of the pruned layers before it.
 */
const calibration = { sequences: 3, length: 20, seed: 5, sampledTokens: 7 };

type Noted = Readonly<Record<string, number | readonly number[]>>;

let noted: (layer: number, projection: Projection) => Noted;
let oracle: readonly OracleLayer[];
let allDense: readonly OracleLayer[];

/** Inputs of a layer in each sequence, with its dense and with its pruned matrices. */
interface OracleLayer {
  readonly before: readonly NaiveInputs[];
  readonly after: readonly NaiveInputs[];
}

beforeAll(async () => {
  const folder = tempFolder({ "text.txt": someText(200) });
  const model = writeTinyModel(folder);
  const plugin = writePlugin(
    folder,
    "noting",
    "weight-sparsifier",
    `() => ({
      statistics: ["norm", "mean", "variance", "withinVariance", "hessian", "inputs", "activatedGate"],
      sparsify({ layer, projection, weight, statistics }) {
        const { writeFileSync } = process.getBuiltinModule("fs");
        const plain = (value) => (typeof value === "number" ? value : [...value]);
        const noted = Object.fromEntries(Object.entries(statistics).map(([name, value]) => [name, plain(value)]));
        writeFileSync(${JSON.stringify(folder)} + "/noted-" + layer + "." + projection + ".json", JSON.stringify(noted));
        return { ...weight, data: weight.data.map((value, e) => (e % weight.inFeatures) % 2 ? 0 : value) };
      },
    })`,
  );
  const text = join(folder, "text.txt");
  await prune(
    tinyPipeline(model, {
      plugins: [plugin],
      weights: [{ sparsifier: "noting" }],
      calibration: { ...calibration, text },
    }),
    { out: join(folder, "out") },
  );
  noted = (layer, projection) => JSON.parse(readFileSync(join(folder, `noted-${layer}.${projection}.json`), "utf8"));
  const opened = openModelFolder(model);
  const config = readModelConfig(opened);
  const ids = loadTokenizer(opened, config).encode(readFileSync(text, "utf8"));
  const windows = seededWindows(ids, calibration, "text");
  oracle = runOracle(model, config, windows, true);
  allDense = runOracle(model, config, windows, false);
});

/** `pruned`: every second column of a layer's matrices is zeroed before it passes anything on. */
function runOracle(model: string, config: ModelConfig, windows: readonly Int32Array[], pruned: boolean) {
  const { tensors } = loadSafetensors(join(model, "model.safetensors"));
  const embedding = matrixOf(tensors.get("model.embed_tokens.weight")!);
  let residuals: Matrix[] = windows.map((ids) => Array.from(ids, (id) => embedding[id]));
  const layers: OracleLayer[] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    const dense = (name: string) => matrixOf(tensors.get(`model.layers.${layer}.${name}`)!);
    const halved = (name: string) =>
      name.includes("_proj") ? dense(name).map((row) => row.map((value, i) => (i % 2 ? 0 : value))) : dense(name);
    const before = residuals.map((residual) => naiveLayer(config, dense, residual));
    const after = residuals.map((residual) => naiveLayer(config, pruned ? halved : dense, residual));
    layers.push({ before, after });
    residuals = after.map(({ output }) => output);
  }
  return layers;
}

const places: Readonly<Record<Projection, keyof NaiveInputs>> = {
  q_proj: "attention",
  k_proj: "attention",
  v_proj: "attention",
  o_proj: "attentionOutput",
  gate_proj: "mlp",
  up_proj: "mlp",
  down_proj: "down",
};

/** Statistics of `[sequence][token][channel]`, from their definitions. */
function statisticsOf(sequences: readonly Matrix[]) {
  const rows = sequences.flat();
  const width = rows[0].length;
  const over = (tokens: Matrix, f: (x: readonly number[]) => number) => tokens.reduce((sum, row) => sum + f(row), 0);
  const each = (f: (j: number) => number) => Array.from({ length: width }, (_, j) => f(j));
  const varianceOf = (tokens: Matrix, j: number) => {
    const mean = over(tokens, (row) => row[j]) / tokens.length;
    return over(tokens, (row) => (row[j] - mean) ** 2) / tokens.length;
  };
  return {
    norm: each((j) => Math.sqrt(over(rows, (row) => row[j] ** 2))),
    mean: each((j) => over(rows, (row) => row[j]) / rows.length),
    variance: each((j) => varianceOf(rows, j)),
    withinVariance: each((j) => sequences.reduce((sum, tokens) => sum + varianceOf(tokens, j), 0) / sequences.length),
    hessian: each((i) => i).flatMap((i) => each((j) => over(rows, (row) => row[i] * row[j]))),
  };
}

/** Largest difference, relative to the largest expected value. */
function difference(given: unknown, expected: readonly number[]): number {
  const values = given as readonly number[];
  expect(values).toHaveLength(expected.length);
  const size = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, index) => Math.abs(values[index] - value))) / size;
}

/** A few hundred float32 roundings, through three layers. */
const tolerance = 3e-5;

const sampled = Array.from({ length: 7 }, (_, slot) => Math.floor(((slot + 0.5) * 60) / 7));

describe("The calibration flow", () => {
  test.each(projections.flatMap((projection) => [0, 1, 2].map((layer) => [layer, projection] as const)))(
    "gives layer %i, %s the statistics of the dense layer after the pruned layers before it",
    (layer, projection) => {
      const inputs = oracle[layer].before.map((sequence) => sequence[places[projection]]);
      const given = noted(layer, projection);
      expect(given).toMatchObject({ tokens: 60, sequences: 3 });
      for (const [name, expected] of Object.entries(statisticsOf(inputs)))
        expect(difference(given[name], expected), name).toBeLessThan(tolerance);
      const tokens = inputs.flat();
      expect(
        difference(
          given.inputs,
          sampled.flatMap((token) => tokens[token]),
        ),
      ).toBeLessThan(tolerance);
    },
  );

  test("gives the activated gate of the sampled tokens to up_proj and down_proj, to nobody else", () => {
    const gates = oracle[1].before.flatMap((sequence) => sequence.activatedGate);
    for (const projection of ["up_proj", "down_proj"] as const)
      expect(
        difference(
          noted(1, projection).activatedGate,
          sampled.flatMap((token) => gates[token]),
        ),
      ).toBeLessThan(tolerance);
    for (const projection of ["q_proj", "o_proj", "gate_proj"] as const)
      expect(noted(1, projection)).not.toHaveProperty("activatedGate");
  });

  test("is seen here: other orders would give other statistics", () => {
    const norm = (inputs: readonly NaiveInputs[], place: keyof NaiveInputs) =>
      statisticsOf(inputs.map((input) => input[place])).norm;
    // Layer 1 after a layer 0 that stayed dense.
    expect(difference(norm(oracle[1].before, "attention"), norm(allDense[1].before, "attention"))).toBeGreaterThan(
      0.01,
    );
    // down_proj of layer 0 after pruned gate_proj and up_proj.
    expect(difference(norm(oracle[0].before, "down"), norm(oracle[0].after, "down"))).toBeGreaterThan(0.01);
    expect(difference(norm(oracle[0].before, "down"), norm(allDense[0].before, "down"))).toBe(0);
  });
});
