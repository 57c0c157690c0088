import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineOptions, definePlugin, option, type PluginDefinition, pluginOption } from "@winnow/core";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { PluginRegistry } from "../registry/registry.js";
import { jsonSchemaProblems } from "../testing/json-schema-problems.js";
import { pipelineJsonSchema } from "./json-schema.js";

type Json = Record<string, unknown>;

const masker = definePlugin({
  id: "test-masker",
  kind: "masker",
  summary: "A masker.",
  source: { title: "none" },
  options: defineOptions({
    width: option(z.int().min(1).default(8), {
      description: "Keys that a row keeps.",
      unit: "tokens",
      symbol: "w",
      source: "paper Table 7",
    }),
    file: option(z.string().optional(), { description: "Sizes per head.", format: "path" }),
  }),
  create: () => ({ plan: () => [] }),
}) as unknown as PluginDefinition;

const pruner = definePlugin({
  id: "test-pruner",
  kind: "kv-pruner",
  summary: "A pruner.",
  source: { title: "none" },
  options: defineOptions({ budget: option(z.int().min(1), { description: "Tokens that stay." }) }),
  create: () => ({ createState: () => null }),
}) as unknown as PluginDefinition;

const wrapper = definePlugin({
  id: "test-wrapper",
  kind: "masker",
  summary: "A masker that holds others.",
  source: { title: "none" },
  options: defineOptions({
    inner: option(pluginOption(["masker"], { description: "A masker." }).optional(), { description: "The only one." }),
    several: option(z.array(pluginOption(["kv-pruner"], { description: "A pruner." })).default([]), {
      description: "Some.",
    }),
  }),
  create: () => ({ plan: () => [] }),
}) as unknown as PluginDefinition;

/** The value at keys of a schema. */
const at = (schema: unknown, ...keys: (string | number)[]) =>
  keys.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], schema);

describe("pipelineJsonSchema", () => {
  const schema = pipelineJsonSchema([masker, pruner]);
  const problems = (value: Json) => jsonSchemaProblems(schema, { model: "m", ...value });
  const prefill = at(schema, "properties", "prefill");
  const width = at(prefill, "allOf", 0, "then", "properties", "options", "properties", "width") as Json;

  test("pipelineJsonSchema completes the ids of each section's kind, with their summaries", () => {
    const choices = at(prefill, "properties", "masker", "anyOf") as Json[];
    expect(choices.map((choice) => [choice.const, choice.description])).toEqual([
      ["dense", "Plain causal attention."],
      ["test-masker", "A masker."],
      [undefined, "Another plugin: package name or relative path."],
    ]);
    const pruners = at(schema, "properties", "decode", "properties", "kvPruner", "anyOf") as Json[];
    expect(pruners.map((choice) => choice.const)).toEqual(["none", "test-pruner", undefined]);
  });

  test("pipelineJsonSchema describes an option with its unit, symbol and source, its default and range", () => {
    expect(width.description).toBe(
      "Keys that a row keeps. Unit: tokens. Symbol in the paper: w. Source: paper Table 7.",
    );
    expect(width).toMatchObject({ type: "integer", minimum: 1, default: 8 });
  });

  test("pipelineJsonSchema keeps what only Winnow understands out of the schema", () => {
    expect(JSON.stringify(schema)).not.toMatch(/"(unit|symbol|source)":|"format":"path"/);
  });

  test("pipelineJsonSchema checks options by the id beside them, in sections and in overrides", () => {
    const wide = { masker: "test-masker", options: { width: 4 } };
    const narrow = { masker: "test-masker", options: { width: 0 } };
    expect(problems({ prefill: { ...wide, overrides: [{ layers: 1, ...wide }] } })).toEqual([]);
    expect(problems({ prefill: narrow })).toEqual(["$.prefill.options.width"]);
    expect(problems({ prefill: { overrides: [{ layers: 1, ...narrow }] } })).toEqual([
      "$.prefill.overrides[0].options.width",
    ]);
    expect(problems({ decode: { kvPruner: "test-pruner", options: { budget: "all" } } })).toEqual([
      "$.decode.options.budget",
    ]);
  });

  test("pipelineJsonSchema refuses an unknown option of a known plugin, and leaves the options of others alone", () => {
    expect(problems({ prefill: { masker: "test-masker", options: { widht: 4 } } })).toEqual([
      "$.prefill.options.widht",
    ]);
    expect(problems({ prefill: { masker: "./mine.js", options: { widht: 4 } } })).toEqual([]);
  });

  test("pipelineJsonSchema refuses unknown keys, wrong types and a missing model", () => {
    expect(problems({ prefil: {} })).toEqual(["$.prefil"]);
    expect(problems({ workers: 0, precision: "f16" })).toEqual(["$.workers", "$.precision"]);
    expect(jsonSchemaProblems(schema, {})).toEqual(["$.model"]);
  });
});

describe("pipelineJsonSchema of plugins inside plugins", () => {
  const schema = pipelineJsonSchema([masker, pruner, wrapper]);
  const problems = (options: Json) =>
    jsonSchemaProblems(schema, { model: "m", prefill: { masker: "test-wrapper", options } });
  const rules = at(schema, "properties", "prefill", "allOf") as Json[];
  const properties = at(rules[1], "then", "properties", "options", "properties");
  const idsOf = (option: unknown) =>
    (at(option, "properties", "plugin", "anyOf") as Json[]).map((choice) => choice.const);

  test("pipelineJsonSchema completes the ids of the kinds that an option takes, also in lists and where it may be absent", () => {
    expect(idsOf(at(properties, "inner"))).toEqual(["test-masker", "test-wrapper", undefined]);
    expect(idsOf(at(properties, "several", "items"))).toEqual(["test-pruner", undefined]);
  });

  test("pipelineJsonSchema keeps what only Winnow understands out of options that hold plugins", () => {
    expect(JSON.stringify(schema)).not.toMatch(/"kinds":|"format":/);
  });

  test("pipelineJsonSchema takes any plugin by name, with any options, and refuses other keys and a missing name", () => {
    expect(
      problems({ inner: { plugin: "./mine.js", options: { any: 1 } }, several: [{ plugin: "test-pruner" }] }),
    ).toEqual([]);
    expect(problems({ inner: { plugin: "test-masker", width: 4 } })).toEqual(["$.prefill.options.inner.width"]);
    expect(problems({ inner: {} })).toEqual(["$.prefill.options.inner.plugin"]);
    expect(problems({ several: [{}] })).toEqual(["$.prefill.options.several[0].plugin"]);
  });
});

describe("pipelineJsonSchema of the plugins of this repository", () => {
  const configs = fileURLToPath(new URL("../../../../configs/", import.meta.url));
  let schema: Json;

  beforeAll(async () => {
    const registry = new PluginRegistry({ folder: configs });
    schema = pipelineJsonSchema(await Promise.all(registry.list().map(({ id }) => registry.load(id))));
  });

  const files = readdirSync(configs).filter((name) => name.endsWith(".yaml"));
  test.each(files)("pipelineJsonSchema accepts configs/%s and refuses it with a misspelled option", (name) => {
    const config = parse(readFileSync(join(configs, name), "utf8"));
    expect(jsonSchemaProblems(schema, config)).toEqual([]);
    const section = ["prefill", "decode", "weights"].find((name) => name in config);
    // A kernel plugin takes no options in the pipeline.
    if (section === undefined) return;
    const entry = section === "weights" ? config.weights[0] : config[section];
    entry.options = { ...entry.options, misspelled: 1 };
    const place = section === "weights" ? "weights[0]" : section;
    expect(jsonSchemaProblems(schema, config)).toEqual([`$.${place}.options.misspelled`]);
  });
});
