import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromBf16, projections } from "@winnow/core";
import { loadSafetensors, readSafetensorsHeader } from "@winnow/models";
import { createEngine, type PipelineInput, type PruneOptions, prune } from "@winnow/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { allTokens, writePlugin } from "../../test-support/engines.js";
import { folderBytes, someText, tinyPipeline, writeTinyModel } from "../../test-support/tiny-model.js";
import { tempFolder } from "../testing/temp-packages.js";

let folder: string;
let model: string;
let text: string;
let bf16Model: string;

beforeAll(() => {
  folder = tempFolder({ "text.txt": someText(200), "bf16/placeholder": "" });
  model = writeTinyModel(folder);
  bf16Model = writeTinyModel(join(folder, "bf16"), { dtype: "BF16" });
  text = join(folder, "text.txt");
});

let plugins = 0;

/** A weight sparsifier (or what else `kind` says) from source text; returns its id and module. */
function plugin(create: string, kind = "weight-sparsifier") {
  const id = `plugin-${++plugins}`;
  return { id, module: writePlugin(folder, id, kind, create) };
}

/** Removes the half of each row that the input norms and the weights rank lowest. */
const scorer = () =>
  plugin(
    `() => ({
      statistics: ["norm"],
      pattern: { pattern: "row", sparsity: 0.5 },
      score: ({ weight, statistics }) => Float32Array.from(weight.data, (value, e) => Math.abs(value) * statistics.norm[e % weight.inFeatures]),
    })`,
    "weight-scorer",
  );

/** Keeps elements for which `keep`, an expression of e, i, layer and projection, holds. Needs no statistics. */
const keeping = (keep: string) =>
  plugin(`() => ({
    statistics: [],
    sparsify: ({ weight, layer, projection }) => ({
      ...weight,
      data: weight.data.map((value, e) => { const i = e % weight.inFeatures; return (${keep}) ? value : 0; }),
    }),
  })`);

type Weights = NonNullable<PipelineInput["weights"]>;

interface Case extends Partial<PruneOptions> {
  readonly weights?: Weights;
  readonly more?: Partial<PipelineInput>;
}

let runs = 0;

/** Prunes the tiny model with one plugin. */
async function pruneWith(used: { id: string; module: string }, { weights, more, ...options }: Case = {}) {
  const out = options.out ?? join(folder, `out-${++runs}`);
  const pipeline = tinyPipeline(more?.model ?? model, {
    ...more,
    plugins: [used.module],
    weights: weights ?? [{ sparsifier: used.id }],
    calibration: { text, sequences: 5, length: 20, ...more?.calibration },
  });
  return { out, report: await prune(pipeline, { ...options, out }) };
}

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
    const { out, report } = await pruneWith(scorer());
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
    const { out } = await pruneWith(scorer(), { more: { model: bf16Model } });
    const own = matrix(bf16Model, 2, "up_proj");
    const after = matrix(out, 2, "up_proj");
    expect(tensorsOf(out).get("model.layers.2.mlp.up_proj.weight")?.dtype).toBe("BF16");
    expect(after.every((value, e) => value === 0 || value === own[e])).toBe(true);
  });

  test("gives the same bytes with one worker and with three, and again for sequences that do not divide evenly", async () => {
    const used = scorer();
    const of = (workers: number, length: number) =>
      pruneWith(used, { more: { workers, calibration: { text, sequences: 7, length } } });
    for (const length of [20, 64]) {
      const one = await of(1, length);
      const three = await of(3, length);
      expect(folderBytes(three.out)).toEqual(folderBytes(one.out));
    }
  });

  test("writes what was done into the files: plugins, options, text, windows, sparsity", async () => {
    const used = scorer();
    const { out } = await pruneWith(used);
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
    const left = keeping("i < 10");
    const second = plugin(`() => ({
      statistics: [],
      sparsify: ({ weight, original }) => ({
        ...weight,
        data: weight.data.map((value, e) => (value === 0 && original.data[e] > 0 ? 0.5 : value)),
      }),
    })`);
    const { out, report } = await pruneWith(left, {
      weights: [{ sparsifier: left.id }, { sparsifier: second.module, projections: ["q_proj"] }],
    });
    const own = matrix(model, 0, "q_proj");
    expect(matrix(out, 0, "q_proj")).toEqual(own.map((value, e) => (e % 16 < 10 ? value : value > 0 ? 0.5 : 0)));
    expect(zerosOf(matrix(out, 0, "k_proj"))).toBe(8 * 6);
    expect(report.matrices[0].sparsifiers).toEqual([left.id, second.id]);
    expect(report.matrices[1].sparsifiers).toEqual([left.id]);
  });

  test("leaves alone what is skipped or not named", async () => {
    const used = keeping("i === 0");
    const { out, report } = await pruneWith(used, {
      weights: [{ sparsifier: used.id, layers: [0, 2], projections: ["o_proj", "up_proj"], skip: [{ layers: [2] }] }],
    });
    expect(report.matrices.map(({ layer, projection }) => `${layer} ${projection}`)).toEqual(["0 o_proj", "0 up_proj"]);
    expect(matrix(out, 2, "o_proj")).toEqual(matrix(model, 2, "o_proj"));
    expect(zerosOf(matrix(out, 0, "o_proj"))).toBe(16 * 15);
  });

  test("reads no text where no sparsifier needs statistics", async () => {
    const { report } = await pruneWith(keeping("i % 2"), { more: { calibration: { text: "/no/such/text" } } });
    expect(report.calibration).toBeNull();
  });

  test("surveys all matrices in order, pass after pass, before any is sparsified", async () => {
    const surveying = plugin(`() => ({
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
    await pruneWith(surveying, { more: { workers: 3 } });
    const sizes = [256, 128, 128, 256, 384, 384, 384];
    const pass = (earlier: number) =>
      [0, 1, 2].flatMap((layer) =>
        projections.map((projection, at) => `${layer} ${projection} ${layer} ${projection} ${sizes[at]} ${earlier}`),
      );
    expect(JSON.parse(readFileSync(join(folder, "survey.json"), "utf8"))).toEqual([...pass(0), ...pass(21)]);
  });

  test("reports rising shares up to 1, with a rate where tokens are gone through", async () => {
    const seen: [number, string][] = [];
    await pruneWith(scorer(), { onProgress: (share, label) => seen.push([share, label]) });
    const shares = seen.map(([share]) => share);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
    expect(seen.some(([, label]) => /^layer 2\/3: statistics, \d+ tokens\/s$/.test(label))).toBe(true);
  });

  test("takes facts that a sparsifier reports", async () => {
    const reporting = plugin(`() => ({
      statistics: [],
      sparsify({ weight, report }) { report({ threshold: 0.25, rule: "x" }); return weight; },
    })`);
    const { report } = await pruneWith(reporting);
    expect(report.matrices[0]).toMatchObject({ facts: { threshold: 0.25, rule: "x" }, zeros: 0 });
  });
});

describe("prune, form sparse", () => {
  test("stores N:M matrices as groups, others as bitmap, and the model runs", async () => {
    const used = keeping("projection === 'q_proj' ? i % 4 < 2 : (e * 7919) % 3 === 0");
    const { out, report } = await pruneWith(used, { form: "sparse", more: { precision: "bf16", model: bf16Model } });
    const formats = new Set(report.matrices.map(({ projection, format }) => `${projection} ${format}`));
    expect(formats).toContain("q_proj groups");
    expect(formats).toContain("up_proj bitmap");
    expect(report.matrices[0].bytesAfter).toBeLessThan(report.matrices[0].bytesBefore);
    await using engine = await createEngine(tinyPipeline(out, { precision: "bf16" }));
    expect(await allTokens(engine.generate({ ids: [5, 6, 7] }, { maxNewTokens: 2 }))).toHaveLength(2);
  });

  test("keeps a format that chooses while it runs; the plain form refuses it by name", async () => {
    const selecting = plugin(`() => ({
      statistics: [],
      sparsify: ({ weight }) => ({
        ...weight, format: "gated-rows", selection: { rule: "largest", keep: 4 },
      }),
    })`);
    const weights: Weights = [{ sparsifier: selecting.id, layers: [1], projections: ["up_proj"] }];
    const { report } = await pruneWith(selecting, { form: "sparse", weights });
    expect(report.matrices).toMatchObject([{ format: "gated-rows" }]);
    await expect(pruneWith(selecting, { weights })).rejects.toMatchObject({
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
    const used = scorer();
    const { out } = await pruneWith(used);
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
    const used = keeping("i % 2");
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

describe("prune, interrupted,", () => {
  /** Stops the run when a label is seen; returns the notices of the run. */
  async function interrupted(used: ReturnType<typeof scorer>, out: string, label: RegExp, more: Case = {}) {
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress = (_: number, seen: string) => label.test(seen) && controller.abort(reason);
    await expect(pruneWith(used, { ...more, out, signal: controller.signal, onProgress })).rejects.toBe(reason);
  }

  async function resumed(used: ReturnType<typeof scorer>, out: string, more: Case = {}) {
    const notices: string[] = [];
    const { report } = await pruneWith(used, { ...more, out, onNotice: (notice) => notices.push(notice) });
    return { report, notices };
  }

  test.each([
    ["in its second layer's statistics", /^layer 2\/3: statistics/, 1],
    ["in its second layer's matrices", /^layer 2\/3: matrices/, 1],
    ["in its second layer's output", /^layer 2\/3: output/, 1],
    ["while the model is written", /^writing/, 3],
  ])("%s, leaves nothing at out and goes on to the bytes of an uninterrupted run", async (_, label, layers) => {
    const used = scorer();
    const whole = await pruneWith(used);
    const out = join(folder, `resumed-${++runs}`);
    await interrupted(used, out, label, { more: { workers: 2 } });
    expect(existsSync(out)).toBe(false);
    expect(existsSync(`${out}.partial`)).toBe(true);
    const { report, notices } = await resumed(used, out);
    expect(report.resumedLayers).toBe(layers);
    expect(notices).toEqual([expect.stringContaining(`Going on after ${layers} finished layers`)]);
    expect(report.matrices.map(({ zeros }) => zeros)).toEqual(whole.report.matrices.map(({ zeros }) => zeros));
    expect(folderBytes(out)).toEqual(folderBytes(whole.out));
    expect(existsSync(`${out}.partial`)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes(`resumed-${runs}`))).toHaveLength(1);
  });

  test("starts anew, with a notice, for another configuration, another text or a changed plugin", async () => {
    const used = scorer();
    const out = join(folder, `anew-${++runs}`);
    const anew = { resumedLayers: 0 };
    await interrupted(used, out, /^layer 3/);
    const other = await resumed(used, out, { more: { calibration: { seed: 1 } } });
    expect(other.report).toMatchObject(anew);
    expect(other.notices).toEqual([expect.stringContaining("Starting anew")]);

    const again = join(folder, `anew-${++runs}`);
    await interrupted(used, again, /^layer 3/);
    writeFileSync(used.module, `${readFileSync(used.module, "utf8")}// changed`);
    expect((await resumed(used, again)).report).toMatchObject(anew);
  });

  test("starts anew where the state cannot be read", async () => {
    const used = scorer();
    const out = join(folder, `broken-${++runs}`);
    mkdirSync(`${out}.partial`);
    writeFileSync(join(`${out}.partial`, "state.json"), "{");
    const { report, notices } = await resumed(used, out);
    expect(report.resumedLayers).toBe(0);
    expect(notices).toEqual([expect.stringContaining("Starting anew")]);
  });

  test("ends within its grace even in the endless loop of a plugin", async () => {
    const endless = plugin(`() => ({ statistics: [], sparsify() { for (;;); } })`);
    await interrupted(endless, join(folder, `endless-${++runs}`), /matrices/);
  });
});

describe("prune refuses", () => {
  const refused = (promise: Promise<unknown>, code: string, message: RegExp) =>
    expect(promise).rejects.toMatchObject({ code, message: expect.stringMatching(message) });

  test("a text shorter than one window, saying how many tokens it has", async () => {
    const short = join(folder, "short.txt");
    writeFileSync(short, "A river.");
    const run = pruneWith(scorer(), { more: { calibration: { text: short } } });
    await refused(run, "ERR_CALIBRATION", /short\.txt".*holds \d+ tokens, but a window takes 20/);
  });

  test("a text that is not there", async () => {
    const run = pruneWith(scorer(), { more: { calibration: { text: "/no/such/text" } } });
    await refused(run, "ERR_CALIBRATION", /\/no\/such\/text/);
  });

  test("to prune nothing", async () => {
    await refused(prune(tinyPipeline(model), { out: join(folder, "nothing") }), "ERR_OPTION_MISSING", /weights/);
  });

  test("an out that is not empty, before any work; overwrite replaces it", async () => {
    const used = keeping("i % 2");
    const { out } = await pruneWith(used);
    await refused(pruneWith(used, { out }), "ERR_OUTPUT_FILE", /not empty.*overwrite/);
    expect(existsSync(`${out}.partial`)).toBe(false);
    const other = keeping("i % 3");
    await pruneWith(other, { out, overwrite: true });
    expect(matrix(out, 0, "v_proj")[3]).toBe(0);
  });

  test("a model that overflows on the text, naming layer and place", async () => {
    const huge = plugin(`() => ({
      statistics: ["mean"],
      sparsify: ({ weight, projection }) => ({
        ...weight, data: weight.data.map((value) => (projection === "down_proj" ? value * 1e38 : value)),
      }),
    })`);
    await refused(pruneWith(huge), "ERR_CALIBRATION", /the output of layer 0 is not finite/);
  });

  const sparsify = (body: string) => `() => ({ statistics: [], sparsify: ({ weight }) => ${body} })`;
  const mistakes: [string, string, string, RegExp][] = [
    ["throws", sparsify("{ throw new Error('boom'); }"), "ERR_PLUGIN_FAILED", /layer \d q_proj: boom/],
    ["returns nothing", sparsify("undefined"), "ERR_PLUGIN_RESULT", /layer \d q_proj.*got undefined/],
    ["returns a promise", sparsify("Promise.resolve(weight)"), "ERR_PLUGIN_RESULT", /undefined x undefined/],
    [
      "returns NaN",
      sparsify("({ ...weight, data: weight.data.map((v, e) => e === 17 ? NaN : v) })"),
      "ERR_PLUGIN_RESULT",
      /\[1, 1\] is NaN/,
    ],
    ["returns another shape", sparsify("({ ...weight, inFeatures: 8 })"), "ERR_PLUGIN_RESULT", /16 x 16.*got 16 x 8/],
    ["returns too little", sparsify("({ ...weight, data: weight.data.slice(1) })"), "ERR_PLUGIN_RESULT", /256 numbers/],
    [
      "returns data of another type than it says",
      sparsify("({ ...weight, dtype: 'bf16' })"),
      "ERR_PLUGIN_RESULT",
      /must be a Uint16Array of 256 numbers, got Float32Array/,
    ],
    ["returns an unknown format", sparsify("({ ...weight, format: 'csr' })"), "ERR_PLUGIN_RESULT", /"csr"/],
    [
      "returns a selection of NaN",
      sparsify(
        "({ ...weight, format: 'gated-rows', selection: { rule: 'threshold', thresholds: Float32Array.of(NaN) } })",
      ),
      "ERR_PLUGIN_RESULT",
      /thresholds/,
    ],
    [
      "changes a bias that a folder cannot hold",
      sparsify("({ ...weight, bias: new Float32Array(16) })"),
      "ERR_WEIGHT_FORMAT",
      /bias/,
    ],
    ["has no method", "() => ({ statistics: [] })", "ERR_PLUGIN_RESULT", /method sparsify/],
    ["has no statistics", "() => ({ sparsify() {} })", "ERR_PLUGIN_RESULT", /statistics must be a list/],
    [
      "asks for a statistic that does not exist",
      "() => ({ statistics: ['median'], sparsify() {} })",
      "ERR_PLUGIN_RESULT",
      /got "median"/,
    ],
    [
      "surveys without plain data",
      "() => ({ statistics: [], survey: { measure: () => () => 1, combine: () => 1 }, sparsify() {} })",
      "ERR_PLUGIN_RESULT",
      /plain data/,
    ],
  ];
  test.each(mistakes)("a sparsifier that %s, with its name", async (_, create, code, message) => {
    const used = plugin(create);
    const weights: Weights = [{ sparsifier: used.id, projections: ["q_proj"] }];
    const run = pruneWith(used, { weights });
    await refused(run, code, message);
    if (code !== "ERR_WEIGHT_FORMAT") await expect(run).rejects.toMatchObject({ plugin: used.id });
  });

  test.each([
    ["too few scores", "new Float32Array(3)", /256|16 x 16/],
    ["NaN", "new Float32Array(weight.data.length).fill(NaN)", /NaN/],
    ["a plain array", "[...weight.data]", /Float32Array/],
  ])("a scorer that returns %s, with its name", async (_, score, message) => {
    const used = plugin(
      `() => ({ statistics: [], pattern: { pattern: "row", sparsity: 0.5 }, score: ({ weight }) => ${score} })`,
      "weight-scorer",
    );
    const weights: Weights = [{ sparsifier: used.id, projections: ["q_proj"] }];
    await refused(pruneWith(used, { weights }), "ERR_PLUGIN_RESULT", message);
  });
});
