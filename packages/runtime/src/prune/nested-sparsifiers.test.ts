import { join } from "node:path";
import { loadSafetensors } from "@winnow/models";
import { prune } from "@winnow/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { PruneBench, type Weights } from "../../test-support/prune-bench.js";
import { tinyPipeline } from "../../test-support/tiny-model.js";
import { tempFolder } from "../testing/temp-packages.js";

let bench: PruneBench;
beforeAll(() => {
  bench = new PruneBench(tempFolder());
});

/** Tensors and sparsity of the tiny model, of three layers, after these entries. */
async function pruned(weights: Weights, plugins: string[] = []) {
  const out = bench.path("out");
  const calibration = { text: bench.text, sequences: 5, length: 20 };
  const report = await prune(tinyPipeline(bench.model, { plugins, weights, calibration }), { out });
  const zeros = report.matrices.map(({ layer, projection, zeros: count }) => [layer, projection, count]);
  return { tensors: loadSafetensors(join(out, "model.safetensors")).tensors, zeros };
}

const magnitude = { plugin: "magnitude", options: { sparsity: 0.4, scope: "global" } };
const wanda = { plugin: "wanda", options: { sparsity: 0.5 } };

describe("Weight sparsifiers inside weights-per-layer", () => {
  test("prune as entries of weights for the same layers do, with statistics and a survey of two passes", async () => {
    const layers = [{ layers: "0-1", ...magnitude }];
    const nested = await pruned([{ sparsifier: "weights-per-layer", options: { layers, otherwise: wanda } }]);
    const plain = await pruned([
      { sparsifier: magnitude.plugin, options: magnitude.options, layers: "0-1" },
      { sparsifier: wanda.plugin, options: wanda.options, layers: 2 },
    ]);
    expect(nested.tensors).toEqual(plain.tensors);
    expect(nested.zeros).toEqual(plain.zeros);
    expect(nested.zeros).toHaveLength(21);
    expect(nested.zeros.every(([, , count]) => Number(count) > 0)).toBe(true);
  });

  test("prune nested three deep as alone", async () => {
    const inside = (inner: object) => ({
      plugin: "weights-per-layer",
      options: { layers: [{ layers: "0-2", ...inner }] },
    });
    const { options } = inside(inside(magnitude));
    const nested = await pruned([{ sparsifier: "weights-per-layer", options }]);
    const alone = await pruned([{ sparsifier: magnitude.plugin, options: magnitude.options }]);
    expect(nested.tensors).toEqual(alone.tensors);
  });

  test("leave layers alone that no entry selects", async () => {
    const { zeros } = await pruned([
      { sparsifier: "weights-per-layer", options: { layers: [{ layers: 1, ...wanda }] } },
    ]);
    expect(new Set(zeros.filter(([, , count]) => Number(count) > 0).map(([layer]) => layer))).toEqual(new Set([1]));
  });

  test("blame the inner plugin for what it does wrong", async () => {
    const { id, module } = bench.plugin(`() => ({ statistics: [], sparsify() { throw new Error("boom"); } })`);
    const layers = [{ layers: 0, plugin: id }];
    const run = () => pruned([{ sparsifier: "weights-per-layer", options: { layers } }], [module]);
    await expect(run()).rejects.toMatchObject({
      code: "ERR_PLUGIN_FAILED",
      plugin: id,
      message: expect.stringContaining(`"${id}" failed in sparsify of layer 0 q_proj: boom`),
    });
  });
});
