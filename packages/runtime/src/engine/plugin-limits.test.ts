import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngine, type Engine, type PipelineInput } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allTokens, answerBits, modelFolder, someIds, withFolder, writePlugin } from "../../test-support/engines.js";

const prompt = { ids: someIds(150) };
const options = { maxNewTokens: 4, stop: { endOfSequence: false } };
const dense = `[{ form: "dense" }]`;

type Case = [title: string, body: string, code: string, message: RegExp];

/** Runs all cases in one engine: its plugin looks up in a file what it is to do. */
function testLimits(limits: PipelineInput["limits"], cases: readonly Case[], more?: (run: Run) => void): void {
  let engine: Engine;
  let folder: string;
  const behave = (body: string) => writeFileSync(join(folder, "case.js"), body);
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "winnow-"));
    behave(dense);
    const read = `process.getBuiltinModule("fs").readFileSync(${JSON.stringify(join(folder, "case.js"))}, "utf8")`;
    const plugin = writePlugin(folder, "greedy", "masker", `() => ({ plan: (context) => eval(${read}) })`);
    const pipeline = { plugins: [plugin], prefill: { masker: "greedy" }, limits };
    engine = await createEngine({ model: modelFolder, threads: 1, workers: 2, ...pipeline });
  });
  afterAll(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });

  test.each(cases)("plan %s", { timeout: 120_000 }, async (_, body, code, message) => {
    behave(body);
    const bad = allTokens(engine.generate(prompt, options));
    // A sequence on the other worker, without the masker, meanwhile.
    const other = allTokens(engine.generate(prompt, { ...options, dense: true }));
    await expect(bad).rejects.toMatchObject({ code, plugin: "greedy", message: expect.stringMatching(message) });
    expect(await other).toHaveLength(4);
    behave(dense);
    expect(await allTokens(engine.generate(prompt, options))).toHaveLength(4);
  });

  more?.((body) => {
    behave(body);
    return answerBits(engine.generate(prompt, options));
  });
}

type Run = (body: string) => ReturnType<typeof answerBits>;

describe("A plugin that takes too long fails its own run, and the engine goes on:", () => {
  const message = /"greedy" failed in plan: it ran for more than 2 seconds.*limits\.pluginCallSeconds/;
  testLimits({ pluginCallSeconds: 2 }, [["loops for ever", "for (;;);", "ERR_PLUGIN_FAILED", message]]);
});

describe("A plugin that takes typed arrays without end fails its own run, and the engine goes on:", () => {
  const message =
    /"greedy" failed in plan: the memory of the process grew by more than 400 megabytes.*limits\.pluginCallMegabytes/;
  testLimits({ pluginCallMegabytes: 400, pluginCallSeconds: 0 }, [
    [
      "fills and keeps them",
      "const kept = []; for (;;) kept.push(new Float32Array(1 << 20).fill(0.5));",
      "ERR_PLUGIN_FAILED",
      message,
    ],
    [
      "fills shared ones",
      "const kept = []; for (;;) kept.push(new Float64Array(new SharedArrayBuffer(1 << 20)).fill(0.5));",
      "ERR_PLUGIN_FAILED",
      message,
    ],
  ]);
});

describe("A plugin that takes too much or ends its thread fails its own run, and the engine goes on:", () => {
  testLimits(
    { workerMemoryMegabytes: 96, pluginCallSeconds: 0 },
    [
      [
        "makes objects without end",
        "const kept = []; for (;;) kept.push(new Array(100_000).fill(0.5))",
        "ERR_PLUGIN_FAILED",
        /"greedy" failed in plan: its worker ran out of memory \(limits\.workerMemoryMegabytes: 96\)/,
      ],
      [
        "asks for a typed array that no machine has",
        "new Float64Array(2 ** 40)",
        "ERR_PLUGIN_FAILED",
        /"greedy" failed in plan: Invalid typed array length/,
      ],
      [
        "ends its thread",
        "process.exit(3)",
        "ERR_WORKER_DIED",
        /A worker ended while plugin "greedy" was in plan: .*Other sequences go on/,
      ],
    ],
    (run) =>
      test("a masker that writes over q changes its own run only", async () => {
        const before = await run(dense);
        expect(await run(`context.q.data.fill(0), ${dense}`)).not.toEqual(before);
        expect(await run(dense)).toEqual(before);
      }),
  );
});

describe("What a plugin is given", () => {
  test.each([
    ["options", "options.budget = 1"],
    ["the model's shape", "model.layers = 1"],
  ])("cannot be changed by it: %s", (_, statement) =>
    withFolder(async (folder) => {
      const create = `(options, model) => { ${statement}; return { plan: () => ${dense} }; }`;
      const plugin = writePlugin(folder, "changer", "masker", create);
      await expect(
        createEngine({ model: modelFolder, threads: 1, plugins: [plugin], prefill: { masker: "changer" } }),
      ).rejects.toMatchObject({ code: "ERR_PLUGIN_FAILED", plugin: "changer" });
    }),
  );
});

describe("A kernel plugin that fails is named:", () => {
  const kernels = (linear: string) => `() => ({
    id: "bad-kernels", priority: 1, available: () => ({ available: true }),
    kernels: [{ operation: "linear", formats: ["dense"], dtypes: ["f32", "bf16"] }],
    load: async () => ({
      isa: "none", close() {},
      operations: { packWeight: (weight) => weight, encodeWeight() {}, decodeWeight() {}, gatedLinear() {}, linear: ${linear} },
    }),
  })`;

  test.each([
    ["linear throws", `() => { throw new Error("boom"); }`, /"bad-kernels" failed in linear: boom/],
    ["linear rejects", `async () => { throw new Error("boom"); }`, /"bad-kernels" failed in linear: boom/],
    ["linear loops for ever", "() => { for (;;); }", /"bad-kernels" failed in linear: it ran for more than 2 seconds/],
  ])("%s", (_, linear, message) =>
    withFolder(async (folder) => {
      const plugin = writePlugin(folder, "bad-kernels", "kernel", kernels(linear));
      const engine = await createEngine({
        model: modelFolder,
        threads: 1,
        plugins: [plugin],
        kernels: { linear: "bad-kernels" },
        limits: { pluginCallSeconds: 2 },
      });
      const run = allTokens(engine.generate(prompt, options));
      await expect(run).rejects.toMatchObject({
        code: "ERR_PLUGIN_FAILED",
        plugin: "bad-kernels",
        message: expect.stringMatching(message),
      });
      await engine.close();
    }),
  );
});
