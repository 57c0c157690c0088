import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prune } from "@winnow/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { PruneBench, type Weights } from "../../test-support/prune-bench.js";
import { folderBytes, tinyPipeline } from "../../test-support/tiny-model.js";
import { tempFolder } from "../testing/temp-packages.js";

let bench: PruneBench;
beforeAll(() => {
  bench = new PruneBench(tempFolder());
});

describe("prune refuses", () => {
  const refused = (promise: Promise<unknown>, code: string, message: RegExp) =>
    expect(promise).rejects.toMatchObject({ code, message: expect.stringMatching(message) });

  test("a text shorter than one window, saying how many tokens it has", async () => {
    const short = join(bench.folder, "short.txt");
    writeFileSync(short, "A river.");
    const run = bench.prune(bench.scorer(), { more: { calibration: { text: short } } });
    await refused(run, "ERR_CALIBRATION", /short\.txt".*holds \d+ tokens, but a window takes 20/);
  });

  test("a text that is not there", async () => {
    const run = bench.prune(bench.scorer(), { more: { calibration: { text: "/no/such/text" } } });
    await refused(run, "ERR_CALIBRATION", /\/no\/such\/text/);
  });

  test("to prune nothing", async () => {
    await refused(
      prune(tinyPipeline(bench.model), { out: join(bench.folder, "nothing") }),
      "ERR_OPTION_MISSING",
      /weights/,
    );
  });

  test("an out that is not empty, before any work; overwrite replaces it", async () => {
    const used = bench.keeping("i % 2");
    const { out } = await bench.prune(used);
    await refused(bench.prune(used, { out }), "ERR_OUTPUT_FILE", /not empty.*overwrite/);
    expect(existsSync(`${out}.partial`)).toBe(false);
    const other = bench.keeping("i % 3");
    const before = folderBytes(out);
    await bench.prune(other, { out, overwrite: true });
    expect(folderBytes(out)["model.safetensors"]).not.toBe(before["model.safetensors"]);
  });

  test("a work folder that another run is using", async () => {
    const used = bench.keeping("i % 2");
    const out = bench.path("locked");
    mkdirSync(`${out}.partial`);
    // This process's parent is surely alive.
    writeFileSync(join(`${out}.partial`, "lock"), String(process.ppid));
    await refused(bench.prune(used, { out }), "ERR_OUTPUT_FILE", /another run/);
    expect(existsSync(out)).toBe(false);
  });

  test("compact formats with precision f32, at their place in the file", async () => {
    const file = join(bench.folder, "f32.yaml");
    writeFileSync(file, `model: ${bench.model}\nprecision: f32\nweightFormat: bitmap\n`);
    await expect(prune(file, { out: bench.path("f32") })).rejects.toMatchObject({
      code: "ERR_PLAN_CONFLICT",
      location: { file, line: 3, column: 15 },
      message: expect.stringMatching(/weightFormat: must be auto or dense with precision f32, got bitmap/),
    });
  });

  test("a model that overflows on the text, naming layer and place", async () => {
    const huge = bench.plugin(`() => ({
      statistics: ["mean"],
      sparsify: ({ weight, projection }) => ({
        ...weight, data: weight.data.map((value) => (projection === "down_proj" ? value * 1e38 : value)),
      }),
    })`);
    await refused(bench.prune(huge), "ERR_CALIBRATION", /the output of layer 0 is not finite/);
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
      "brings a bias of another length",
      sparsify("({ ...weight, bias: new Float32Array(15) })"),
      "ERR_PLUGIN_RESULT",
      /bias must be a Float32Array of 16 finite numbers/,
    ],
    [
      "declares changesBias wrongly",
      "() => ({ statistics: [], changesBias: 'yes', sparsify: ({ weight }) => weight })",
      "ERR_PLUGIN_RESULT",
      /changesBias must be true or false, got "yes"/,
    ],
    [
      "reports a fact that is no number",
      "() => ({ statistics: [], sparsify({ weight, report }) { report({ share: NaN }); return weight; } })",
      "ERR_PLUGIN_RESULT",
      /"share" is NaN/,
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
    const used = bench.plugin(create);
    const weights: Weights = [{ sparsifier: used.id, projections: ["q_proj"] }];
    const run = bench.prune(used, { weights });
    await refused(run, code, message);
    if (code !== "ERR_WEIGHT_FORMAT") await expect(run).rejects.toMatchObject({ plugin: used.id });
  });

  test.each([
    ["too few scores", "new Float32Array(3)", /256|16 x 16/],
    ["NaN", "new Float32Array(weight.data.length).fill(NaN)", /NaN/],
    ["a plain array", "[...weight.data]", /Float32Array/],
  ])("a scorer that returns %s, with its name", async (_, score, message) => {
    const used = bench.plugin(
      `() => ({ statistics: [], pattern: { pattern: "row", sparsity: 0.5 }, score: ({ weight }) => ${score} })`,
      "weight-scorer",
    );
    const weights: Weights = [{ sparsifier: used.id, projections: ["q_proj"] }];
    await refused(bench.prune(used, { weights }), "ERR_PLUGIN_RESULT", message);
  });
});
