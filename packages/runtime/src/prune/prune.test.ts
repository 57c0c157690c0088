import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBf16, projections } from "@winnow/core";
import { loadSafetensors, readSafetensorsHeader } from "@winnow/models";
import { createEngine, type PipelineInput, prune } from "@winnow/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { allTokens } from "../../test-support/engines.js";
import { PruneBench, type Weights } from "../../test-support/prune-bench.js";
import { folderBytes, tinyPipeline, writeTinyModel } from "../../test-support/tiny-model.js";
import { tempFolder } from "../testing/temp-packages.js";

let bench: PruneBench;
let folder: string;
let model: string;
let text: string;
let bf16Model: string;

beforeAll(() => {
  bench = new PruneBench(tempFolder({ "bf16/placeholder": "" }));
  ({ folder, model, text } = bench);
  bf16Model = writeTinyModel(join(folder, "bf16"), { dtype: "BF16" });
});

function tensorsOf(out: string) {
  return loadSafetensors(join(out, "model.safetensors")).tensors;
}

function matrix(out: string, layer: number, projection: string): number[] {
  const part = /^(q|k|v|o)_/.test(projection) ? "self_attn" : "mlp";
  const { data, dtype } = tensorsOf(out).get(`model.layers.${layer}.${part}.${projection}.weight`)!;
  return Array.from(data as Float32Array, (value) => (dtype === "BF16" ? fromBf16(value) : value));
}

const zerosOf = (values: readonly number[]) => values.filter((value) => value === 0).length;

describe("prune", () => {
  test("zeroes half of each row, keeps the other weights and all other tensors bit by bit", async () => {
    const { out, report } = await bench.prune(bench.scorer());
    for (const projection of projections) {
      const before = matrix(model, 1, projection);
      const after = matrix(out, 1, projection);
      expect(zerosOf(after)).toBe(after.length / 2);
      expect(after.every((value, e) => value === 0 || value === before[e])).toBe(true);
    }
    const embedding = "model.embed_tokens.weight";
    expect(tensorsOf(out).get(embedding)).toEqual(tensorsOf(model).get(embedding));
    expect(report.matrices).toHaveLength(21);
    expect(report.matrices[4]).toMatchObject({ layer: 0, projection: "gate_proj", zeros: 192, elements: 384 });
    expect(report.calibration).toMatchObject({ text: "text.txt", tokens: 100 });
  });

  test("keeps the model's own type: bf16 stays bf16, whatever the precision of the run", async () => {
    const { out } = await bench.prune(bench.scorer(), { more: { model: bf16Model } });
    const own = matrix(bf16Model, 2, "up_proj");
    const after = matrix(out, 2, "up_proj");
    expect(tensorsOf(out).get("model.layers.2.mlp.up_proj.weight")?.dtype).toBe("BF16");
    expect(after.every((value, e) => value === 0 || value === own[e])).toBe(true);
  });

  test("gives the same bytes with one worker and with three, and again for sequences that do not divide evenly", async () => {
    const used = bench.scorer();
    const of = (workers: number, length: number) =>
      bench.prune(used, { more: { workers, calibration: { text, sequences: 7, length } } });
    for (const length of [20, 64]) {
      const one = await of(1, length);
      const three = await of(3, length);
      expect(folderBytes(three.out)).toEqual(folderBytes(one.out));
    }
  });

  test("writes what was done into the files: plugins, options, text, windows, sparsity", async () => {
    const used = bench.scorer();
    const { out } = await bench.prune(used);
    const { metadata } = readSafetensorsHeader(join(out, "model.safetensors"));
    const { provenance } = JSON.parse(metadata.winnow);
    expect(provenance).toMatchObject({
      winnow: "0.0.0",
      sparsifiers: [{ id: used.id, options: {}, matrices: 21 }],
      calibration: { text: "text.txt", sequences: 5, length: 20, seed: 0, sampling: "seeded" },
      sparsity: { "0.q_proj": 0.5, "2.down_proj": 0.5 },
    });
    expect(provenance.calibration.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test("runs entries in order, each on what the one before it left, with the model's own matrix beside it", async () => {
    const left = bench.keeping("i < 10");
    const second = bench.plugin(`() => ({
      statistics: [],
      sparsify: ({ weight, original }) => ({
        ...weight,
        data: weight.data.map((value, e) => (value === 0 && original.data[e] > 0 ? 0.5 : value)),
      }),
    })`);
    const { out, report } = await bench.prune(left, {
      weights: [{ sparsifier: left.id }, { sparsifier: second.module, projections: ["q_proj"] }],
    });
    const own = matrix(model, 0, "q_proj");
    expect(matrix(out, 0, "q_proj")).toEqual(own.map((value, e) => (e % 16 < 10 ? value : value > 0 ? 0.5 : 0)));
    expect(zerosOf(matrix(out, 0, "k_proj"))).toBe(8 * 6);
    expect(report.matrices[0].sparsifiers).toEqual([left.id, second.id]);
    expect(report.matrices[1].sparsifiers).toEqual([left.id]);
  });

  test("leaves alone what is skipped or not named", async () => {
    const used = bench.keeping("i === 0");
    const { out, report } = await bench.prune(used, {
      weights: [{ sparsifier: used.id, layers: [0, 2], projections: ["o_proj", "up_proj"], skip: [{ layers: [2] }] }],
    });
    expect(report.matrices.map(({ layer, projection }) => `${layer} ${projection}`)).toEqual(["0 o_proj", "0 up_proj"]);
    expect(matrix(out, 2, "o_proj")).toEqual(matrix(model, 2, "o_proj"));
    expect(zerosOf(matrix(out, 0, "o_proj"))).toBe(16 * 15);
  });

  test("reads no text where no sparsifier needs statistics", async () => {
    const { report } = await bench.prune(bench.keeping("i % 2"), { more: { calibration: { text: "/no/such/text" } } });
    expect(report.calibration).toBeNull();
  });

  test("surveys all matrices in order, pass after pass, before any is sparsified", async () => {
    const surveying = bench.plugin(`() => ({
      statistics: [],
      survey: {
        passes: 2,
        measure: ({ layer, projection, weight, original, survey }) => [layer, projection, weight.data.length, survey?.length ?? 0],
        combine: (matrices, previous) => [...(previous ?? []), ...matrices.map(({ layer, projection, value }) => [layer, projection, ...value].join(" "))],
      },
      sparsify({ weight, layer, projection, survey }) {
        if (layer === 0 && projection === "q_proj")
          process.getBuiltinModule("fs").writeFileSync(${JSON.stringify(folder)} + "/survey.json", JSON.stringify(survey));
        return { ...weight, data: weight.data.map((value) => value * 0) };
      },
    })`);
    await bench.prune(surveying, { more: { workers: 3 } });
    const sizes = [256, 128, 128, 256, 384, 384, 384];
    const pass = (earlier: number) =>
      [0, 1, 2].flatMap((layer) =>
        projections.map((projection, at) => `${layer} ${projection} ${layer} ${projection} ${sizes[at]} ${earlier}`),
      );
    expect(JSON.parse(readFileSync(join(folder, "survey.json"), "utf8"))).toEqual([...pass(0), ...pass(21)]);
  });

  test("reports rising shares up to 1, with a rate where tokens are gone through", async () => {
    const seen: [number, string][] = [];
    await bench.prune(bench.scorer(), { onProgress: (share, label) => seen.push([share, label]) });
    const shares = seen.map(([share]) => share);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
    expect(seen.some(([, label]) => /^layer 2\/3: statistics, \d+ tokens\/s$/.test(label))).toBe(true);
  });

  test("takes facts that a sparsifier reports", async () => {
    const reporting = bench.plugin(`() => ({
      statistics: [],
      sparsify({ weight, report }) { report({ threshold: 0.25, rule: "x" }); return weight; },
    })`);
    const { report } = await bench.prune(reporting);
    expect(report.matrices[0]).toMatchObject({ facts: { threshold: 0.25, rule: "x" }, zeros: 0 });
  });
});

describe("prune, form sparse", () => {
  test("stores N:M matrices as groups, others as bitmap, and the model runs", async () => {
    const used = bench.keeping("projection === 'q_proj' ? i % 4 < 2 : (e * 7919) % 3 === 0");
    const { out, report } = await bench.prune(used, { form: "sparse", more: { precision: "bf16", model: bf16Model } });
    const formats = new Set(report.matrices.map(({ projection, format }) => `${projection} ${format}`));
    expect(formats).toContain("q_proj groups");
    expect(formats).toContain("up_proj bitmap");
    expect(report.matrices[0].bytesAfter).toBeLessThan(report.matrices[0].bytesBefore);
    await using engine = await createEngine(tinyPipeline(out, { precision: "bf16" }));
    expect(await allTokens(engine.generate({ ids: [5, 6, 7] }, { maxNewTokens: 2 }))).toHaveLength(2);
  });

  test("keeps a format that chooses while it runs; the plain form refuses it by name", async () => {
    const selecting = bench.plugin(`() => ({
      statistics: [],
      sparsify: ({ weight }) => ({
        ...weight, format: "gated-rows", selection: { rule: "largest", keep: 4 },
      }),
    })`);
    const weights: Weights = [{ sparsifier: selecting.id, layers: [1], projections: ["up_proj"] }];
    const { report } = await bench.prune(selecting, { form: "sparse", weights });
    expect(report.matrices).toMatchObject([{ format: "gated-rows" }]);
    await expect(bench.prune(selecting, { weights })).rejects.toMatchObject({
      code: "ERR_WEIGHT_FORMAT",
      message: expect.stringMatching(/Layer 1, up_proj: plugin-\d+ made format gated-rows.*form: sparse/),
    });
  });

  test("quantises every matrix where weightFormat is int8, without any sparsifier", async () => {
    const out = join(folder, "int8");
    const report = await prune(tinyPipeline(bf16Model, { precision: "bf16", weightFormat: "int8" }), {
      out,
      form: "sparse",
    });
    expect(new Set(report.matrices.map(({ format }) => format))).toEqual(new Set(["int8-panel16"]));
    expect(report.matrices).toHaveLength(21);
  });
});

describe("createEngine with weights", () => {
  test("runs the sparsifiers when the model is loaded: same answer as the pruned folder", async () => {
    const used = bench.scorer();
    const { out } = await bench.prune(used);
    const calibration = { text, sequences: 5, length: 20 };
    const pipeline = tinyPipeline(model, { plugins: [used.module], weights: [{ sparsifier: used.id }], calibration });
    const answer = async (input: PipelineInput) => {
      await using engine = await createEngine(input);
      const tokens = await allTokens(
        engine.generate({ ids: [5, 6, 7, 8] }, { maxNewTokens: 5, stop: { endOfSequence: false } }),
      );
      return tokens.map(({ id, logProbability }) => [id, logProbability]);
    };
    const pruned = await answer(tinyPipeline(out));
    expect(await answer(pipeline)).toEqual(pruned);
    expect(await answer(tinyPipeline(model))).not.toEqual(pruned);
    // With a prune step, the sparsifiers wait for it.
    const later = { ...pipeline, steps: [{ prune: { out: "later" } }] };
    expect(await answer(later)).toEqual(await answer(tinyPipeline(model)));
  });

  test("holds the matrices as weightFormat says", async () => {
    const used = bench.keeping("i % 2");
    const formatsOf = async (weightFormat: PipelineInput["weightFormat"]) => {
      const weights = [{ sparsifier: used.id, projections: ["up_proj" as const] }];
      const input = { precision: "bf16" as const, plugins: [used.module], weights, weightFormat };
      await using engine = await createEngine(tinyPipeline(bf16Model, input));
      const { up, down } = engine.model.weights.layers[1];
      return [up.format, down.format];
    };
    const [, untouched] = await formatsOf("auto");
    expect(await formatsOf("auto")).toEqual(["groups", untouched]);
    expect(await formatsOf("bitmap")).toEqual(["bitmap", untouched]);
    expect(await formatsOf("int8")).toEqual(["int8-panel16", "int8-panel16"]);
  });
});
