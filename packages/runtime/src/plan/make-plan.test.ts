import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createReference } from "@winnow/kernels-reference";
import { loadWeights, openModelFolder, readModelConfig } from "@winnow/models";
// Workers start from the built package.
import { createPlan } from "@winnow/runtime";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../config/config.js";
import { builtInKernelPackages } from "../registry/kernel-packages.js";
import { PluginRegistry } from "../registry/registry.js";
import { errorText, manifest, pluginModule, tempFolder } from "../testing/temp-packages.js";
import { makePlan, type PlanOptions } from "./make-plan.js";
import { readModelInfo } from "./model-info.js";
import type { PlannedInner, PlannedModel } from "./plan.js";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const fixture = (name: string) => join(root, "packages/models/fixtures/arch", name);

const layers = 6;
const shape = { layers, queryHeads: 4, kvHeads: 2, headDim: 16, contextLength: 512 };
const llama: PlannedModel = {
  folder: "m",
  architecture: "llama",
  shape,
  slidingWindow: Array(layers).fill(null),
  weightFormats: [],
};
const emptyFolder = tempFolder();

/** Plans p.yaml in `folder` for a model of 6 layers, 4 query and 2 KV heads; kernels that are not built here may fall back. */
function plan(yaml: string, folder = emptyFolder, model = llama, options: PlanOptions = {}) {
  const kernels = yaml.includes("kernels:") ? "" : "kernels: { fallback: allow }\n";
  const document = parseConfig(`model: m\n${yaml}\n${kernels}`, { file: join(folder, "p.yaml") });
  return makePlan(document, model, new PluginRegistry({ folder, workingFolder: emptyFolder }), options);
}

const complaint = (yaml: string, folder?: string, model?: PlannedModel) => errorText(() => plan(yaml, folder, model));

/** Layer, first and last head, masker of each group. */
const groupsOf = async (yaml: string) =>
  (await plan(yaml)).prefill.map(({ layer, heads, masker }) => `${layer}: ${heads.start}-${heads.end - 1} ${masker}`);

describe("makePlan: prefill", () => {
  test("makePlan gives every layer and head dense attention without a masker, and needs no plugin", async () => {
    const { prefill, decode, plugins } = await plan("");
    expect(prefill).toEqual(
      Array.from({ length: layers }, (_, layer) => ({
        layer,
        heads: { start: 0, end: 4 },
        masker: "dense",
        options: {},
      })),
    );
    expect([decode, plugins]).toEqual([[], []]);
  });

  test("makePlan fills in the defaults of a masker and says where each value came from", async () => {
    const made = await plan("prefill: { masker: a-shape, options: { sinkTokens: 7 } }");
    expect(made.prefill[0].options).toMatchObject({ sinkTokens: 7 });
    const origins = made.provenance.filter(({ path }) => path.startsWith("prefill.options"));
    const location = { file: join(emptyFolder, "p.yaml"), line: 2, column: 52 };
    expect(origins).toContainEqual({ path: "prefill.options.sinkTokens", value: 7, origin: "yaml", location });
    const recent = origins.find(({ path }) => path === "prefill.options.recentTokens");
    expect(recent?.origin).toBe("plugin default");
    expect(recent?.value).toBe(made.prefill[0].options.recentTokens);
  });

  test("makePlan splits a layer at the heads of an override and joins equal neighbours", async () => {
    const yaml = `prefill:
  masker: a-shape
  overrides:
    - { layers: [0, "2-3"], heads: "1-2", masker: dense }
    - { layers: 5, masker: tri-shape }`;
    const split = ["0-0 a-shape", "1-2 dense", "3-3 a-shape"];
    expect(await groupsOf(yaml)).toEqual([
      ...split.map((group) => `0: ${group}`),
      "1: 0-3 a-shape",
      ...[2, 3].flatMap((layer) => split.map((group) => `${layer}: ${group}`)),
      "4: 0-3 a-shape",
      "5: 0-3 tri-shape",
    ]);
  });

  test("makePlan lets the later of two overlapping overrides win", async () => {
    const yaml = `prefill:
  overrides:
    - { layers: "0-3", masker: a-shape }
    - { layers: "2-5", heads: 0, masker: tri-shape }
    - { layers: 3, masker: dense }`;
    expect(await groupsOf(yaml)).toEqual([
      "0: 0-3 a-shape",
      "1: 0-3 a-shape",
      "2: 0-0 tri-shape",
      "2: 1-3 a-shape",
      "3: 0-3 dense",
      "4: 0-0 tri-shape",
      "4: 1-3 dense",
      "5: 0-0 tri-shape",
      "5: 1-3 dense",
    ]);
  });

  test("makePlan keeps the options of two entries of one masker apart", async () => {
    const made = await plan(`prefill:
  masker: a-shape
  options: { sinkTokens: 1 }
  overrides: [{ layers: 1, masker: a-shape, options: { sinkTokens: 2 } }]`);
    expect(made.prefill.slice(0, 3).map(({ options }) => options.sinkTokens)).toEqual([1, 2, 1]);
  });

  test("makePlan resolves path options against the configuration's folder", async () => {
    const more = 'options: z.strictObject({ file: z.string().meta({ description: "F.", format: "path" }) })';
    const folder = tempFolder({ "p.js": pluginModule("with-path", { more }) });
    const made = await plan("prefill: { masker: ./p.js, options: { file: data/x.json } }", folder);
    expect(made.prefill[0].options).toEqual({ file: join(folder, "data/x.json") });
  });
});

describe("makePlan: decode", () => {
  const prunersOf = async (yaml: string) =>
    (await plan(yaml)).decode.map(({ layers: served, kvPruner }) => [kvPruner, served]);

  test("makePlan keeps one KV pruner for an entry whose layers an override splits", async () => {
    const yaml = `decode:
  kvPruner: streaming-llm
  overrides:
    - { layers: "2-3", kvPruner: snapkv }
    - { layers: 5, kvPruner: none }`;
    expect(await prunersOf(yaml)).toEqual([
      ["streaming-llm", [0, 1, 4]],
      ["snapkv", [2, 3]],
    ]);
  });

  test("makePlan keeps two entries of one KV pruner apart, with a state each", async () => {
    const yaml = `decode:
  kvPruner: streaming-llm
  overrides: [{ layers: 0, kvPruner: streaming-llm }]`;
    expect(await prunersOf(yaml)).toEqual([
      ["streaming-llm", [1, 2, 3, 4, 5]],
      ["streaming-llm", [0]],
    ]);
  });

  test("makePlan leaves out an entry that later overrides cover, and does not load its plugin in workers", async () => {
    const made = await plan(`decode:
  kvPruner: streaming-llm
  overrides:
    - { layers: "0-5", kvPruner: snapkv }`);
    expect(made.decode.map(({ kvPruner }) => kvPruner)).toEqual(["snapkv"]);
    expect(made.plugins.map(({ id }) => id)).toEqual(["snapkv"]);
  });

  test("makePlan refuses a KV pruner for a model with sliding-window layers", async () => {
    const mistral = readModelInfo(fixture("mistral-window"));
    const text = await complaint("decode: { kvPruner: snapkv }", emptyFolder, mistral);
    expect(text).toContain("decode.kvPruner: must be none for this model: mistral has sliding-window layers");
    expect(text).toMatch(/p\.yaml:2:21 {2}\[ERR_PLAN_CONFLICT\]$/);
    const ofOverride = "decode: { overrides: [{ layers: 0, kvPruner: snapkv }] }";
    expect(await complaint(ofOverride, emptyFolder, mistral)).toContain("decode.overrides[0].kvPruner: must be none");
  });

  test("makePlan plans maskers for a model with sliding-window layers", async () => {
    const mistral = readModelInfo(fixture("mistral-window"));
    const made = await plan("prefill: { masker: a-shape }\ndecode: { kvPruner: none }", emptyFolder, mistral);
    expect(made.prefill.map(({ masker }) => masker)).toEqual(Array(3).fill("a-shape"));
  });

  test("makePlan asks for kernels of every mask form where the model's own window masks dense attention", async () => {
    const mistral = readModelInfo(fixture("mistral-window"));
    const yaml = "precision: f32\nkernels: { prefillAttention: onnx, fallback: allow }";
    expect(await complaint(yaml, emptyFolder, mistral)).toContain("do not take band masks");
  });
});

describe("makePlan: what it refuses, with the place", () => {
  test.each([
    [
      "a KV pruner as masker",
      "prefill: { masker: snapkv }",
      'prefill.masker: must name a plugin of kind masker or block-scorer, got "snapkv", which is a kv-pruner.',
      "2:20  [ERR_PLAN_CONFLICT]",
    ],
    [
      "a masker as KV pruner",
      "decode: { kvPruner: minference }",
      'must name a plugin of kind kv-pruner or evict-scorer or element-scorer, got "minference", which is a masker.',
      "2:21  [ERR_PLAN_CONFLICT]",
    ],
    [
      "an unknown masker",
      "prefill: { masker: minferense }",
      'prefill.masker: there is no plugin "minferense". Did you mean "minference"?',
      "2:20  [ERR_PLUGIN_UNKNOWN]",
    ],
    [
      "an unknown masker of an override",
      "prefill:\n  overrides:\n    - { layers: 1, masker: nonsense }",
      'prefill.overrides[0].masker: there is no plugin "nonsense". Installed: ',
      "4:28  [ERR_PLUGIN_UNKNOWN]",
    ],
    [
      "a budget of 0",
      "decode: { kvPruner: tidal-decode, options: { budget: 0 } }",
      '"tidal-decode": budget must be an integer >= 1, got 0.',
      "2:54  [ERR_OPTION_RANGE]",
    ],
    [
      "an unknown option",
      "decode: { kvPruner: tidal-decode, options: { budgett: 9 } }",
      '"tidal-decode": budgett is not an option. Did you mean "budget"?',
      "2:46  [ERR_OPTION_UNKNOWN]",
    ],
    [
      "an option of the wrong type in an override",
      "prefill:\n  overrides:\n    - layers: 1\n      masker: a-shape\n      options: { sinkTokens: many }",
      '"a-shape": sinkTokens must be an integer',
      "6:30  [ERR_OPTION_TYPE]",
    ],
    [
      "a selection layer beyond the model",
      "decode: { kvPruner: tidal-decode, options: { selectionLayers: [2, 6] } }",
      "decode.options.selectionLayers[1]: selectionLayers must be below model.layers (6), got 6.",
      "2:67  [ERR_PLAN_CONFLICT]",
    ],
    [
      "a layer beyond the model",
      'prefill: { overrides: [{ layers: "4-6", masker: a-shape }] }',
      'prefill.overrides[0].layers: must select layers in 0..5, first before last, got "4-6".',
      "2:34  [ERR_PLAN_CONFLICT]",
    ],
    [
      "a head beyond the model",
      "prefill: { overrides: [{ heads: [0, 4], masker: a-shape }] }",
      "prefill.overrides[0].heads: must select query heads in 0..3, first before last, got 4.",
      "2:33  [ERR_PLAN_CONFLICT]",
    ],
    [
      "a layer of a KV pruner beyond the model",
      "decode: { overrides: [{ layers: 6, kvPruner: snapkv }] }",
      "decode.overrides[0].layers: must select layers in 0..5",
      "2:33  [ERR_PLAN_CONFLICT]",
    ],
    [
      "options beside dense",
      "prefill: { masker: dense, options: { sinkTokens: 4 } }",
      "prefill.options.sinkTokens: has no effect beside dense, which takes no options.",
      "2:50  [ERR_PLAN_CONFLICT]",
    ],
    [
      "options beside none",
      "decode: { options: { budget: 4 } }",
      "decode.options.budget: has no effect beside none, which takes no options.",
      "2:30  [ERR_PLAN_CONFLICT]",
    ],
    [
      "a plugin package that is not there",
      "plugins:\n  - winnow-plugin-nowhere",
      'plugins[0]: cannot find the plugin "winnow-plugin-nowhere". Install the package',
      "3:5  [ERR_PLUGIN_UNKNOWN]",
    ],
    [
      "sparse attention on kernels that are dense only",
      "precision: f32\nprefill: { masker: a-shape }\nkernels: { prefillAttention: onnx, fallback: allow }",
      'kernels.prefillAttention: cannot be "onnx": its prefillAttention kernels do not take band masks.',
      "4:30  [ERR_KERNEL_UNSUPPORTED]",
    ],
  ])("makePlan refuses %s", async (_, yaml, expected, place) => {
    const text = await complaint(yaml);
    expect(text).toContain(expected);
    expect(text).toContain(`p.yaml:${place}`);
  });

  test("makePlan points at the value that --set gave", async () => {
    const document = parseConfig("model: m\n", { file: "p.yaml", sets: ["prefill.masker=snapkv"] });
    const registry = new PluginRegistry({ folder: emptyFolder, workingFolder: emptyFolder });
    const text = await errorText(() => makePlan(document, llama, registry));
    expect(text).toContain("Given by --set prefill.masker=snapkv.");
  });
});

describe("makePlan: plugins from elsewhere", () => {
  test("makePlan takes a masker by relative path, by package name, and by the id of a listed module", async () => {
    const folder = tempFolder({
      "mine.js": pluginModule("mine"),
      "node_modules/@acme/winnow-plugin-far/package.json": manifest("@acme/winnow-plugin-far", ["far"]),
      "node_modules/@acme/winnow-plugin-far/index.js": pluginModule("far"),
    });
    const maskerOf = async (yaml: string) => (await plan(yaml, folder)).plugins.map(({ id }) => id);
    expect(await maskerOf("prefill: { masker: ./mine.js }")).toEqual(["mine"]);
    expect(await maskerOf("prefill: { masker: '@acme/winnow-plugin-far' }")).toEqual(["far"]);
    expect(await maskerOf("prefill: { masker: mine }\nplugins: [./mine.js]")).toEqual(["mine"]);
  });

  test("makePlan runs operations on a kernel plugin that is listed by its path", async () => {
    const kernels = '[{ operation: "linear", formats: ["dense"], dtypes: ["bf16"] }]';
    const create = `() => ({ id: "my-chip", priority: 1, kernels: ${kernels}, available: () => ({ available: true }), load() {} })`;
    const folder = tempFolder({ "chip.js": pluginModule("my-chip", { kind: "kernel", create }) });
    const made = await plan("plugins: [./chip.js]\nkernels: { linear: my-chip, fallback: allow }", folder);
    expect(made.kernels.assignment.linear).toBe("my-chip");
    expect(made.plugins.map(({ id }) => id)).toEqual(["my-chip"]);
  });

  test.each([
    ["fails to load", "throw new Error('boom');", "plugins[0]: cannot load the plugin module", "[ERR_PLUGIN_INVALID]"],
    [
      "takes an installed id",
      pluginModule("snapkv"),
      'plugins[0]: two plugins are called "snapkv"',
      "[ERR_PLUGIN_DUPLICATE]",
    ],
  ])("makePlan refuses a listed module that %s, at its entry", async (_, source, expected, code) => {
    const text = await complaint("plugins:\n  - ./p.js", tempFolder({ "p.js": source }));
    expect(text).toContain(expected);
    expect(text).toContain(`p.yaml:3:5  ${code}`);
  });

  test("makePlan refuses a plugin that is of another kind than its manifest says, where it is named", async () => {
    const folder = tempFolder({
      "node_modules/winnow-plugin-liar/package.json": manifest("winnow-plugin-liar", ["liar"]),
      "node_modules/winnow-plugin-liar/index.js": pluginModule("liar", { kind: "kernel" }),
    });
    expect(await complaint("prefill: { masker: liar }", folder)).toContain("p.yaml:2:20  [ERR_PLUGIN_INVALID]");
  });

  test("makePlan blames a plugin whose check throws, and reports a problem of check where the option stands", async () => {
    const folder = tempFolder({
      "throws.js": pluginModule("throws", { more: "check() { throw new Error('oops'); }" }),
      "minds.js": pluginModule("minds", {
        more: `check: ({ width }, model) => [{ path: ["width"], message: width + " of " + model.layers + " layers" }]`,
      }),
    });
    expect(await complaint("prefill: { masker: ./throws.js }", folder)).toMatch(
      /Plugin "throws" failed in check: oops\n {2}\[ERR_PLUGIN_FAILED\]$/,
    );
    const text = await complaint("prefill: { masker: ./minds.js, options: { width: 3 } }", folder);
    expect(text).toMatch(/prefill\.options\.width: 3 of 6 layers\.\n.*p\.yaml:2:50 {2}\[ERR_PLAN_CONFLICT\]$/);
  });

  test("makePlan lists plugins that are to be loaded besides, once, and refuses unknown ones", async () => {
    const made = await plan("prefill: { masker: a-shape }", emptyFolder, llama, { alsoLoad: ["snapkv", "a-shape"] });
    expect(made.plugins.map(({ id }) => id)).toEqual(["a-shape", "snapkv"]);
    const unknown = await errorText(() => plan("", emptyFolder, llama, { alsoLoad: ["snapvk"] }));
    expect(unknown).toContain('There is no plugin "snapvk". Did you mean "snapkv"?');
  });
});

describe("createPlan", () => {
  /** A model whose weights are all NaN: whoever reads them fails. */
  function brokenModel(): string {
    const folder = tempFolder({ "config.json": readFileSync(join(fixture("qwen3"), "config.json"), "utf8") });
    const weights = readFileSync(join(fixture("qwen3"), "model.safetensors"));
    weights.fill(0xff, 8 + Number(weights.readBigUInt64LE(0)));
    writeFileSync(join(folder, "model.safetensors"), weights);
    return folder;
  }
  const kernels = { fallback: "allow" } as const;

  test("createPlan plans and refuses without reading weights", async () => {
    const model = brokenModel();
    const folder = openModelFolder(model);
    const load = () => loadWeights(folder, readModelConfig(folder), createReference(), { precision: "bf16" });
    expect(await errorText(load)).toContain("[ERR_MODEL_TENSOR]");
    expect((await createPlan({ model, kernels })).model.shape.layers).toBe(3);
    const decode = { kvPruner: "tidal-decode", options: { selectionLayers: [3] } };
    expect(await errorText(() => createPlan({ model, kernels, decode }))).toContain("[ERR_PLAN_CONFLICT]");
    expect(await errorText(() => createPlan({ model, kernels, prefill: { masker: "x" } }))).toContain(
      "[ERR_PLUGIN_UNKNOWN]",
    );
  });

  const configs = readdirSync(join(root, "configs")).filter((name) => name.endsWith(".yaml"));
  test.each(configs)("createPlan plans configs/%s", async (name) => {
    const made = await createPlan(resolve(root, "configs", name), { sets: ["kernels.fallback=allow"] });
    const { layers: count, queryHeads } = made.model.shape;
    const heads = made.prefill.reduce((sum, group) => sum + group.heads.end - group.heads.start, 0);
    expect(heads).toBe(count * queryHeads);
    const withInner = (plugin: string, inner: readonly PlannedInner[] = []): string[] => [
      plugin,
      ...inner.flatMap((part) => withInner(part.plugin, part.inner)),
    ];
    const named = [
      ...made.prefill.flatMap(({ masker, inner }) => withInner(masker, inner)),
      ...made.decode.flatMap(({ kvPruner, inner }) => withInner(kvPruner, inner)),
      ...made.weights.sparsifiers.flatMap(({ sparsifier, inner }) => withInner(sparsifier, inner)),
      ...Object.values(made.kernels.assignment),
    ];
    const notPlugins = ["dense", ...builtInKernelPackages];
    expect(new Set(made.plugins.map(({ id }) => id))).toEqual(new Set(named.filter((id) => !notPlugins.includes(id))));
    expect(made.plugins.length).toBeGreaterThan(0);
  });
});
