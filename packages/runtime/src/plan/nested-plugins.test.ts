import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../config/config.js";
import { PluginRegistry } from "../registry/registry.js";
import { errorText, pluginModule, tempFolder } from "../testing/temp-packages.js";
import { explainPlan } from "./explain.js";
import { makePlan } from "./make-plan.js";
import type { PlannedModel } from "./plan.js";

const layers = 6;
const model: PlannedModel = {
  folder: "m",
  architecture: "llama",
  shape: { layers, queryHeads: 4, kvHeads: 2, headDim: 16, contextLength: 512 },
  slidingWindow: Array(layers).fill(null),
  weightFormats: [],
};
const emptyFolder = tempFolder();

/** Plans p.yaml; the first line of `yaml` is line 2 of the file. */
function plan(yaml: string, folder = emptyFolder) {
  const document = parseConfig(`model: m\n${yaml}\nkernels: { fallback: allow }\n`, { file: join(folder, "p.yaml") });
  return makePlan(document, model, new PluginRegistry({ folder, workingFolder: emptyFolder }));
}

const complaint = (yaml: string, folder?: string) => errorText(() => plan(yaml, folder));

const threeDeep = `prefill:
  masker: union-masks
  options:
    of:
      - plugin: intersect-masks
        options:
          of:
            - plugin: keep-always
              options: { recentTokens: 32, inner: { plugin: a-shape, options: { sinkTokens: 7 } } }
            - plugin: tri-shape
      - plugin: a-shape`;

describe("makePlan with plugins inside plugins", () => {
  test("makePlan resolves the options of plugins nested three deep, defaults filled in", async () => {
    const { prefill } = await plan(threeDeep);
    expect(prefill[0].options).toMatchObject({
      of: [
        {
          plugin: "intersect-masks",
          options: {
            of: [
              {
                plugin: "keep-always",
                options: {
                  sinkTokens: 4,
                  recentTokens: 32,
                  inner: { plugin: "a-shape", options: { sinkTokens: 7, recentTokens: 3968 } },
                },
              },
              { plugin: "tri-shape", options: { denseLastTokens: 100 } },
            ],
          },
        },
        { plugin: "a-shape", options: { sinkTokens: 128 } },
      ],
    });
  });

  test("makePlan lists each plugin of the nesting once for workers, and says where inner values stand", async () => {
    const { plugins, provenance } = await plan(threeDeep);
    const ids = ["union-masks", "intersect-masks", "keep-always", "a-shape", "tri-shape"];
    expect(plugins.map(({ id }) => id)).toEqual(ids);
    const path = "prefill.options.of.0.options.of.0.options.inner.options.sinkTokens";
    expect(provenance.find((entry) => entry.path === path)).toMatchObject({
      value: 7,
      origin: "yaml",
      location: { line: 10, column: 93 },
    });
  });

  test("explainPlan shows the nesting of maskers, KV pruners and weight sparsifiers", async () => {
    const text = explainPlan(
      await plan(`${threeDeep}
decode:
  kvPruner: per-layer-cache
  options: { layers: [{ layers: 0, plugin: snapkv }], otherwise: { plugin: streaming-llm } }
weights:
  - sparsifier: weights-per-layer
    options: { layers: [{ layers: 0, plugin: wanda }] }
calibration: { length: 128 }`),
    );
    expect(text).toContain("layers 0-5: union-masks(intersect-masks(keep-always(a-shape), tri-shape), a-shape)\n");
    expect(text).toContain("layers 0-5: per-layer-cache(snapkv, streaming-llm)\n");
    expect(text).toContain("weights-per-layer(wanda): all matrices\n");
  });

  test("makePlan resolves a path option of an inner plugin against the configuration's folder", async () => {
    const folder = tempFolder({ "mine.js": pluginModule("mine") });
    const { prefill } = await plan(
      "prefill: { masker: dense-below, options: { tokens: 8, inner: { plugin: ./mine.js } } }",
      folder,
    );
    expect(prefill[0].options.inner).toEqual({ plugin: "mine", options: { width: 8 } });
  });
});

describe("An error of an inner plugin names it and its place:", () => {
  const dense = (inner: string) =>
    `prefill:\n  masker: dense-below\n  options:\n    tokens: 8\n    inner:\n      ${inner}`;

  test("an unknown inner plugin", async () => {
    const text = await complaint(dense("plugin: a-shap"));
    expect(text).toContain('prefill.options.inner.plugin: there is no plugin "a-shap". Did you mean "a-shape"?');
    expect(text).toMatch(/p\.yaml:7:15 {2}\[ERR_PLUGIN_UNKNOWN\]$/);
  });

  test("an inner plugin of another kind", async () => {
    const text = await complaint(dense("plugin: snapkv"));
    expect(text).toContain("prefill.options.inner.plugin: must name a plugin of kind masker or block-scorer");
    expect(text).toContain('got "snapkv", which is a kv-pruner');
    expect(text).toMatch(/p\.yaml:7:15 {2}\[ERR_PLAN_CONFLICT\]$/);
  });

  test("an option of an inner plugin out of its range", async () => {
    const text = await complaint(dense("plugin: a-shape\n      options: { recentTokens: 0 }"));
    expect(text).toMatch(/"a-shape": recentTokens.* must be .*>= 1, got 0/);
    expect(text).toMatch(/p\.yaml:8:32 {2}\[ERR_OPTION_RANGE\]$/);
  });

  test("an unknown option of a plugin three deep", async () => {
    const text = await complaint(threeDeep.replace("sinkTokens: 7", "sinkToken: 7"));
    expect(text).toContain('"a-shape": sinkToken');
    expect(text).toContain('Did you mean "sinkTokens"?');
    expect(text).toMatch(/p\.yaml:10:81 {2}\[ERR_OPTION_UNKNOWN\]$/);
  });

  test("an inner plugin without its id", async () => {
    const text = await complaint(dense("options: {}"));
    expect(text).toMatch(/"dense-below": inner\.plugin.* must be/);
    expect(text).toMatch(/p\.yaml:\d+:\d+ {2}\[ERR_OPTION_MISSING\]$/);
  });

  test("layers of an entry that the model does not have", async () => {
    const text = await complaint(`prefill:
  masker: dense-below
  options:
    tokens: 8
    inner:
      plugin: per-layer
      options:
        layers:
          - { layers: "4-6", plugin: a-shape }`);
    expect(text).toContain('layers[0].layers: must select layers in 0..5, first before last, got "4-6"');
    expect(text).toMatch(/p\.yaml:10:23 {2}\[ERR_PLAN_CONFLICT\]$/);
  });
});
