import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { WinnowError } from "@winnow/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseConfig, readConfig } from "./config.js";

/** The error as a person reads it: message, then place and code. */
function errorOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof WinnowError) return error.toString();
    throw error;
  }
  throw new Error("expected an error, there was none");
}

const parse = (text: string, sets: readonly string[] = []) => parseConfig(text, { file: "folder/p.yaml", sets });
const complaint = (text: string) => errorOf(() => parse(text));

const rootKeys =
  "model, precision, workers, threads, kernels, prefill, decode, weights, calibration, weightFormat, plugins, limits, steps, output";
const missingModel =
  "Cannot configure model: must be a non-empty string, got nothing. Folder of the model (config.json, safetensors, tokenizer.json), relative to this file.";

describe("parseConfig", () => {
  test("parseConfig fills in every default of a pipeline that names only a model", () => {
    expect(parse("model: m\n").value).toEqual({
      model: resolve("folder/m"),
      precision: "bf16",
      workers: 1,
      threads: "auto",
      kernels: {
        isa: "auto",
        linear: "auto",
        prefillAttention: "auto",
        decodeAttention: "auto",
        packedAttention: "auto",
        elementwise: "auto",
        cache: "auto",
        primitives: "auto",
        linearAlgebra: "auto",
        fallback: "error",
      },
      prefill: { masker: "dense", options: {}, overrides: [] },
      decode: { kvPruner: "none", options: {}, overrides: [] },
      weights: [],
      calibration: {
        sequences: 32,
        length: 2048,
        seed: 0,
        sampling: "seeded",
        sampledTokens: 2048,
        cache: true,
        cacheGigabytes: 16,
      },
      weightFormat: "auto",
      plugins: [],
      limits: {
        pluginCallSeconds: 60,
        sparsifySeconds: 3600,
        tuneSeconds: 43_200,
        pluginCallMegabytes: "auto",
        workerMemoryMegabytes: 4096,
      },
      steps: [],
      output: { receipt: "runs/receipt.json" },
    });
  });

  test("parseConfig makes model, prompt files, haystacks and plugin paths absolute, package names and receipts not", () => {
    const { value, folder, file } = parse(`
model: ../models/m
plugins: [./mine.js, ../theirs, /opt/p.js, winnow-plugin-x]
steps:
  - generate: { prompt: { file: a.txt } }
  - compare: { prompt: { needle: { length: 100, haystack: b.txt } } }
  - generate: { prompt: { text: ./not-a-path } }
`);
    expect([file, folder]).toEqual(["folder/p.yaml", resolve("folder")]);
    expect(value.model).toBe(resolve("models/m"));
    expect(value.plugins).toEqual([resolve("folder/mine.js"), resolve("theirs"), "/opt/p.js", "winnow-plugin-x"]);
    expect(value.steps.map((step) => (step.generate ?? step.compare)?.prompt)).toEqual([
      { file: resolve("folder/a.txt") },
      { needle: { length: 100, depth: 0.5, seed: 1, haystack: resolve("folder/b.txt") } },
      { text: "./not-a-path" },
    ]);
    expect(value.output.receipt).toBe("runs/receipt.json");
  });

  test("parseConfig reads JSON, comments, anchors and a byte order mark", () => {
    expect(parse('{"model": "m", "workers": 2}').value.workers).toBe(2);
    expect(parse("\ufeffmodel: m # a comment\nworkers: 3").value.workers).toBe(3);
    const { prefill, decode } = parse("model: m\nprefill: {options: &o {a: 1}}\ndecode: {options: *o}").value;
    expect(decode.options).toEqual(prefill.options);
  });

  test.each([
    ["", `${missingModel}\n  folder/p.yaml:1:1  [ERR_OPTION_MISSING]`],
    ["# only a comment\n", `${missingModel}\n  folder/p.yaml:1:1  [ERR_OPTION_MISSING]`],
    ["workers: 2\n", `${missingModel}\n  folder/p.yaml:1:1  [ERR_OPTION_MISSING]`],
    [
      "- a",
      'Cannot configure the configuration: must be a section (key: value), got ["a"].\n  folder/p.yaml:1:1  [ERR_OPTION_TYPE]',
    ],
    [
      "42",
      "Cannot configure the configuration: must be a section (key: value), got 42.\n  folder/p.yaml:1:1  [ERR_OPTION_TYPE]",
    ],
  ])("parseConfig refuses a text without settings: %j", (text, message) => {
    expect(complaint(text)).toBe(message);
  });

  test.each([
    [
      "model: m\nprefil: {}",
      `prefil: there is no such key. Did you mean "prefill"? Allowed: ${rootKeys}.`,
      "2:1",
      "UNKNOWN",
    ],
    [
      "model: m\nprefill:\n  maskr: x",
      'prefill.maskr: there is no such key. Did you mean "masker"? Allowed: masker, options, overrides.',
      "3:3",
      "UNKNOWN",
    ],
    [
      "model: m\nprefill: {overrides: [{masker: a, layrs: 0, heads: 0}]}",
      'prefill.overrides[0].layrs: there is no such key. Did you mean "layers"? Allowed: layers, heads, masker, options.',
      "2:35",
      "UNKNOWN",
    ],
    [
      "model: m\nsteps:\n  - generat: {}",
      'steps[0].generat: there is no such key. Did you mean "generate"? Allowed: generate, compare, perplexity, prune.',
      "3:5",
      "UNKNOWN",
    ],
    ['model: m\noutput: {"a b": 1}', 'output["a b"]: there is no such key. Allowed: receipt.', "2:10", "UNKNOWN"],
    ["model:", "model: must be a non-empty string, got null.", "1:7", "TYPE"],
    ["model: ''", 'model: must be a non-empty string, got "".', "1:8", "RANGE"],
    ["model: [m]", 'model: must be a non-empty string, got ["m"].', "1:8", "TYPE"],
    [
      "model: m\nprecision: bf61",
      'precision: must be one of "bf16", "f32", got "bf61". Did you mean "bf16"?',
      "2:12",
      "RANGE",
    ],
    ["model: m\nprecision: 16", 'precision: must be one of "bf16", "f32", got 16.', "2:12", "TYPE"],
    ["model: m\nworkers: 0", "workers: must be an integer from 1 to 256, got 0.", "2:10", "RANGE"],
    ["model: m\nworkers: 1.5", "workers: must be an integer from 1 to 256, got 1.5.", "2:10", "TYPE"],
    ["model: m\nworkers: .nan", "workers: must be an integer from 1 to 256 and finite, got NaN.", "2:10", "RANGE"],
    [
      "model: m\nworkers: -.inf",
      "workers: must be an integer from 1 to 256 and finite, got -Infinity.",
      "2:10",
      "RANGE",
    ],
    ["model: m\nthreads: many", 'threads: must be "auto" or an integer from 1 to 1024, got "many".', "2:10", "TYPE"],
    ["model: m\nprefill:", "prefill: must be a section (key: value), got null.", "2:9", "TYPE"],
    [
      "model: m\nplugins: x",
      'plugins: must be a list of at most 1000 entries, each a non-empty string, got "x".',
      "2:10",
      "TYPE",
    ],
    ["model: m\r\nworkers: 0\r\n", "workers: must be an integer from 1 to 256, got 0.", "2:10", "RANGE"],
  ])("parseConfig names value, expectation and place: %j", (text, message, place, code) => {
    expect(complaint(text)).toBe(`Cannot configure ${message}\n  folder/p.yaml:${place}  [ERR_OPTION_${code}]`);
  });

  const step = (settings: string) => `model: m\nsteps:\n  - generate:\n      ${settings}`;
  test.each([
    [
      step("prompt: {text: a, file: b}"),
      "steps[0].generate.prompt: must have exactly one of text, file, needle, got text, file.",
      "4:7",
      "ERR_PLAN_CONFLICT",
    ],
    [
      step("prompt: {}"),
      "steps[0].generate.prompt: must have exactly one of text, file, needle, got none.",
      "4:7",
      "ERR_OPTION_MISSING",
    ],
    [
      step("maxNewTokens: 1"),
      "steps[0].generate.prompt: must be a section (key: value), got nothing. What the model reads.",
      "3:5",
      "ERR_OPTION_MISSING",
    ],
    [
      step("prompt: {text: a}\n      maxNewTokens: 0"),
      "steps[0].generate.maxNewTokens: must be an integer >= 1, got 0.",
      "5:21",
      "ERR_OPTION_RANGE",
    ],
    [
      step("prompt: {text: a}\n    compare: {prompt: {text: a}}"),
      "steps[0]: must have exactly one of generate, compare, perplexity, prune, got generate, compare.",
      "3:5",
      "ERR_PLAN_CONFLICT",
    ],
    [
      step("{prompt: {text: a}, sampling: {temperature: .inf}}"),
      "steps[0].generate.sampling.temperature: must be a number from 0 to 100 and finite, got Infinity.",
      "4:51",
      "ERR_OPTION_RANGE",
    ],
    [
      "model: m\nsteps: [{}]",
      "steps[0]: must have exactly one of generate, compare, perplexity, prune, got none.",
      "2:9",
      "ERR_OPTION_MISSING",
    ],
    [
      "model: m\nsteps: [{compare: {prompt: {text: a}, runs: [dense, dense]}}]",
      'steps[0].compare.runs: must not repeat a run, got ["dense", "dense"].',
      "2:39",
      "ERR_OPTION_RANGE",
    ],
  ])("parseConfig checks steps: %j", (text, message, place, code) => {
    expect(complaint(text)).toBe(`Cannot configure ${message}\n  folder/p.yaml:${place}  [${code}]`);
  });

  const selection = 'must be a number, a range like "0-3", or a list of these';
  test.each([
    [
      "prefill",
      "masker: a, layers: 3-1",
      '.layers: must have its smaller number first, like "0-3", got "3-1".',
      "27",
      "ERR_OPTION_RANGE",
    ],
    [
      "prefill",
      "masker: a, layers: [0, 3-1]",
      '.layers[1]: must have its smaller number first, like "0-3", got "3-1".',
      "31",
      "ERR_OPTION_RANGE",
    ],
    ["prefill", "masker: a, heads: []", `.heads: ${selection}, got [].`, "26", "ERR_OPTION_RANGE"],
    ["prefill", "masker: a, heads: 1.5", `.heads: ${selection}, got 1.5.`, "26", "ERR_OPTION_TYPE"],
    ["prefill", "masker: a", ": must name layers, heads or both, got none.", "7", "ERR_OPTION_MISSING"],
    ["decode", "kvPruner: a", `.layers: ${selection}, got nothing.`, "7", "ERR_OPTION_MISSING"],
    [
      "decode",
      "kvPruner: a, layers: 0, heads: 1",
      ".heads: must be absent: all heads of a layer share one cache, so a KV pruner covers whole layers.",
      "32",
      "ERR_PLAN_CONFLICT",
    ],
  ])("parseConfig checks %s overrides: {%s}", (section, entry, message, column, code) => {
    const text = `model: m\n${section}:\n  overrides:\n    - {${entry}}`;
    expect(complaint(text)).toBe(
      `Cannot configure ${section}.overrides[0]${message}\n  folder/p.yaml:4:${column}  [${code}]`,
    );
  });

  test("parseConfig lists several problems in the order of the file, with the place of each", () => {
    expect(complaint("workers: 0\nmodel: m\nthreads: 0\nprecison: f32\n")).toBe(
      [
        "Cannot configure workers: must be an integer from 1 to 256, got 0.",
        '  also: threads: must be "auto" or an integer from 1 to 1024, got 0.  folder/p.yaml:3:10',
        `  also: precison: there is no such key. Did you mean "precision"? Allowed: ${rootKeys}.  folder/p.yaml:4:1`,
        "  folder/p.yaml:1:10  [ERR_OPTION_RANGE]",
      ].join("\n"),
    );
  });

  test("parseConfig lists ten problems and counts the rest", () => {
    const unknown = Array.from({ length: 13 }, (_, index) => `unknown${index}: 1`).join("\n");
    const lines = complaint(`model: m\n${unknown}`).split("\n");
    expect(lines.filter((line) => line.startsWith("  also: "))).toHaveLength(9);
    expect(lines.at(-2)).toBe("  and 3 more");
  });

  test("parseConfig keeps long keys and values out of messages", () => {
    expect(complaint(`model: m\nworkers: ${"x".repeat(100_000)}`).length).toBeLessThan(200);
    expect(complaint(`model: m\n${"k".repeat(1000)}: 1`).length).toBeLessThan(500);
  });
});

describe("ConfigDocument", () => {
  const document = parse("model: m\nprefill:\n  masker: a\n  options: {x: 1}\n", ["workers=2"]);

  test("originOf tells the file's values, the arguments' and defaults apart", () => {
    const at = (line: number, column: number) => ({ file: "folder/p.yaml", line, column });
    expect(document.originOf(["model"])).toEqual({ origin: "yaml", location: at(1, 8) });
    expect(document.originOf(["prefill", "options", "x"])).toEqual({ origin: "yaml", location: at(4, 16) });
    expect(document.originOf(["workers"])).toEqual({ origin: "set" });
    expect(document.originOf(["threads"])).toEqual({ origin: "default" });
    expect(document.originOf(["prefill", "options", "y"])).toEqual({ origin: "default" });
  });

  test.each([
    [["prefill", "masker"], "Cannot configure prefill.masker: no.\n  folder/p.yaml:3:11  [ERR_PLAN_CONFLICT]"],
    [["prefill", "options", "y"], "Cannot configure prefill.options.y: no.\n  folder/p.yaml:4:3  [ERR_PLAN_CONFLICT]"],
    [["decode", "kvPruner"], "Cannot configure decode.kvPruner: no.\n  folder/p.yaml:1:1  [ERR_PLAN_CONFLICT]"],
    [["workers"], "Cannot configure workers: no. Given by --set workers=2.\n  [ERR_PLAN_CONFLICT]"],
  ])("fail points at %j or at the section around it", (path, message) => {
    expect(document.fail(path, "ERR_PLAN_CONFLICT", "no").toString()).toBe(message);
    expect(document.fail(path, "ERR_PLAN_CONFLICT", "no.").toString()).toBe(message);
  });
});

describe("readConfig", () => {
  let folder: string;
  const write = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "winnow-config-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("readConfig resolves paths against the folder of the file", () => {
    const file = write("good.yaml", "model: m\n");
    const document = readConfig(file, ["workers=2"]);
    expect(document.value).toMatchObject({ model: join(folder, "m"), workers: 2 });
    expect([document.file, document.folder]).toEqual([file, folder]);
  });

  test("readConfig refuses what is no readable text file", () => {
    const long = write("long.yaml", "x".repeat(2 << 20));
    const latin = write("latin.yaml", Uint8Array.of(0x6d, 0x3a, 0x20, 0xe9));
    mkdirSync(join(folder, "inner"));
    const cases = [
      [join(folder, "absent.yaml"), "there is no such file"],
      [join(latin, "x"), "a part of its path is not a folder"],
      [join(folder, "inner"), "it is a folder. Name the YAML file in it"],
      [long, "it has 2097152 bytes, more than 1048576"],
      [latin, "it is not UTF-8 text"],
      ["/dev/null", "it is not a regular file"],
      ["a\0b", "its name has a null character"],
    ];
    for (const [file, problem] of cases) {
      expect(errorOf(() => readConfig(file))).toBe(`Cannot read ${file}: ${problem}.\n  [ERR_CONFIG_FILE]`);
    }
  });
});
