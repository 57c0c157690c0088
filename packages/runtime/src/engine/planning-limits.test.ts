import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createEngine, createPlan, type PipelineInput } from "@winnow/runtime";
import { describe, expect, test } from "vitest";
import { allTokens, modelFolder, someIds, withEngine, withFolder } from "../../test-support/engines.js";

const core = new URL("../../../core/dist/index.js", import.meta.url).href;
const loop = "for (;;);";
const hoard = "const kept = []; for (;;) kept.push(new Float32Array(1 << 20).fill(0.5));";

interface Parts {
  readonly kind?: string;
  /** Statements of the module. */
  readonly top?: string;
  readonly options?: string;
  readonly check?: string;
  readonly create?: string;
}

/** A module whose plugin has one bad part. */
function writeBad(folder: string, parts: Parts): string {
  const { kind = "masker", top = "", options = "defineOptions({})", check = "return [];" } = parts;
  const { create = `return { plan: () => [{ form: "dense" }] };` } = parts;
  const file = join(folder, "bad.mjs");
  writeFileSync(
    file,
    `import { definePlugin, defineOptions } from ${JSON.stringify(core)};
${top}
export default definePlugin({
  id: "bad", kind: ${JSON.stringify(kind)}, summary: "For tests.", source: { title: "none" },
  options: ${options}, check() { ${check} }, create() { ${create} },
});
`,
  );
  return file;
}

const kernels = (fields: string) => ({
  kind: "kernel",
  create: `return {
    id: "bad", priority: 1, available: () => ({ available: true }), load: async () => ({}),
    kernels: [{ operation: "linear", formats: ["dense"], dtypes: ["f32", "bf16"] }], ${fields}
  };`,
});

/** A pipeline that uses the plugin, by its id. */
function pipelineOf({ kind }: Parts, file: string): PipelineInput {
  const used = kind === "kernel" ? { kernels: { linear: "bad", isa: "generic" } } : { prefill: { masker: "bad" } };
  return { model: modelFolder, threads: 1, plugins: [file], ...used } as PipelineInput;
}

describe("Planning with a plugin that does not end fails in time with its name:", () => {
  const cases: [where: string, parts: Parts, plugin: string, message: RegExp][] = [
    ["its module", { top: loop }, "bad.mjs", /failed in import: it ran for more than 1 seconds/],
    ["its module, waiting", { top: "await new Promise(() => {});" }, "bad.mjs", /failed in import: it ran/],
    [
      "the schema of its options",
      { options: `defineOptions({}).refine(() => { ${loop} })` },
      "bad",
      /failed in options/,
    ],
    ["check", { check: loop }, "bad", /failed in check: it ran for more than 1 seconds.*limits\.pluginCallSeconds/],
    ["a kernel plugin's create", { kind: "kernel", create: loop }, "bad", /failed in create/],
    ["a kernel plugin's available", kernels(`available() { ${loop} }`), "bad", /failed in available/],
    ["a kernel plugin's instructionSets", kernels(`instructionSets() { ${loop} }`), "bad", /failed in instructionSets/],
  ];
  test.each(cases)("%s", { timeout: 60_000 }, (_, parts, plugin, message) =>
    withFolder(async (folder) => {
      const config = pipelineOf(parts, writeBad(folder, parts));
      const error = await createPlan({ ...config, limits: { pluginCallSeconds: 1 } }).catch((caught) => caught);
      expect(error).toMatchObject({ code: "ERR_PLUGIN_FAILED", message: expect.stringMatching(message) });
      expect(error.plugin.endsWith(plugin)).toBe(true);
    }),
  );

  test("createEngine too, while another engine of the process answers", { timeout: 60_000 }, () =>
    withFolder((folder) =>
      withEngine({}, async (engine) => {
        const config = pipelineOf({}, writeBad(folder, { check: loop }));
        const bad = createEngine({ ...config, limits: { pluginCallSeconds: 1 } });
        const answer = allTokens(
          engine.generate({ ids: someIds(20) }, { maxNewTokens: 4, stop: { endOfSequence: false } }),
        );
        await expect(bad).rejects.toMatchObject({ code: "ERR_PLUGIN_FAILED", plugin: "bad" });
        expect(await answer).toHaveLength(4);
      }),
    ),
  );
});

describe("Planning with a plugin that takes too much or ends its thread fails with its name:", () => {
  test.each([
    ["typed arrays without end", hoard, "ERR_PLUGIN_FAILED", /failed in check: the memory of the process grew by more/],
    ["the end of its thread", "process.exit(3);", "ERR_WORKER_DIED", /plugin "bad" was in check/],
  ])("%s", { timeout: 60_000 }, (_, check, code, message) =>
    withFolder(async (folder) => {
      const config = pipelineOf({}, writeBad(folder, { check }));
      const plan = createPlan({ ...config, limits: { pluginCallMegabytes: 200 } });
      await expect(plan).rejects.toMatchObject({ code, plugin: "bad", message: expect.stringMatching(message) });
    }),
  );
});

describe("Planning with a plugin that returns garbage fails with its name:", () => {
  test.each<[string, Parts, string, RegExp]>([
    [
      "check returns no list",
      { check: "return 7;" },
      "ERR_PLUGIN_RESULT",
      /must return a list of problems, got number/,
    ],
    ["check returns a promise", { check: "return Promise.resolve([]);" }, "ERR_PLUGIN_RESULT", /got object/],
    ["check returns [null]", { check: "return [null];" }, "ERR_PLUGIN_RESULT", /of the form \{ path, message \}/],
    [
      "options become a function",
      { options: "Object.assign(defineOptions({}), { safeParse: () => ({ success: true, data: { f() {} } }) })" },
      "ERR_PLUGIN_FAILED",
      /failed in options: .*could not be cloned/,
    ],
    [
      "a kernel is null",
      kernels("kernels: [null]"),
      "ERR_PLUGIN_RESULT",
      /must have an operation and a list of dtypes/,
    ],
    ["available returns nothing", kernels("available() {}"), "ERR_PLUGIN_RESULT", /available: true.* got undefined/],
    [
      "a priority is no number",
      kernels(`priority: "high"`),
      "ERR_PLUGIN_RESULT",
      /priority must be a number, got high/,
    ],
  ])("%s", (_, parts, code, message) =>
    withFolder(async (folder) => {
      const plan = createPlan(pipelineOf(parts, writeBad(folder, parts)));
      await expect(plan).rejects.toMatchObject({ code, plugin: "bad", message: expect.stringMatching(message) });
    }),
  );
});

describe("Code of plugins stays out of the caller's thread:", () => {
  test("createPlan and createEngine run a module, its schema, check and create in workers only", () =>
    withFolder(async (folder) => {
      const mark = `globalThis.winnowTestMark = true;`;
      const options = `defineOptions({}).refine(() => { ${mark} return true; })`;
      const create = `${mark} return { plan: () => [{ form: "dense" }] };`;
      const config = pipelineOf({}, writeBad(folder, { top: mark, options, check: `${mark} return [];`, create }));
      expect((await createPlan(config)).prefill[0].masker).toBe("bad");
      await using engine = await createEngine(config);
      expect(engine.plan.prefill[0].masker).toBe("bad");
      expect(globalThis).not.toHaveProperty("winnowTestMark");
    }));
});
