import { defineOptions, option, WinnowError } from "@winnow/core";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { parseConfig, validateOptions } from "./config.js";
import { expectedOf } from "./expected.js";
import { didYouMean } from "./nearest.js";
import { formatPath, parsePath } from "./path.js";
import { pipelineSchema } from "./schema.js";
import { allowedKeys, schemaAt } from "./schema-walk.js";
import { stepEntry } from "./steps.js";

const schema = defineOptions({
  observationWindow: option(z.int().min(1).default(32), { description: "Queries that vote." }),
  poolKernel: option(
    z
      .int()
      .refine((width) => width % 2 === 1, "poolKernel must be odd")
      .default(5),
    {
      description: "Width of smoothing.",
    },
  ),
  file: option(z.string(), { description: "A file." }),
});

function check(options: string, given: z.ZodObject = schema): Record<string, unknown> | string {
  const document = parseConfig(`model: m\ndecode:\n  options: ${options}\n`, { file: "p.yaml" });
  try {
    const at = { document, path: ["decode", "options"], plugin: "snapkv" };
    return validateOptions(given, document.value.decode.options, at);
  } catch (error) {
    if (error instanceof WinnowError) return error.toString();
    throw error;
  }
}

describe("validateOptions", () => {
  test("validateOptions fills in the plugin's defaults", () => {
    expect(check("{file: a}")).toEqual({ observationWindow: 32, poolKernel: 5, file: "a" });
  });

  test.each([
    ["{file: a, observationWindow: x}", 'observationWindow must be an integer >= 1, got "x".', "3:41", "TYPE"],
    ["{file: a, observationWindow: 0}", "observationWindow must be an integer >= 1, got 0.", "3:41", "RANGE"],
    ["{file: a, poolKernel: 4}", "poolKernel must be odd, got 4.", "3:34", "RANGE"],
    [
      "{file: a, poolKernl: 3}",
      'poolKernl is not an option. Did you mean "poolKernel"? Allowed: observationWindow, poolKernel, file.',
      "3:22",
      "UNKNOWN",
    ],
    ["{}", "file must be a string, got nothing. A file.", "3:3", "MISSING"],
  ])("validateOptions names plugin, option and place: %s", (options, message, place, code) => {
    expect(check(options)).toBe(`Cannot configure "snapkv": ${message}\n  p.yaml:${place}  [ERR_OPTION_${code}]`);
  });

  test("validateOptions blames the plugin whose schema throws", () => {
    const broken = z.strictObject({}).refine(() => {
      throw new Error("oops");
    });
    expect(check("{}", broken)).toBe(
      'Plugin "snapkv" failed while its options were checked: Error: oops.\n  [ERR_PLUGIN_FAILED]',
    );
  });
});

test.each([
  [z.int().min(1), "an integer >= 1"],
  [z.number().gt(0).max(1), "a number > 0 and <= 1"],
  [z.number().min(0).max(1).default(0), "a number from 0 to 1"],
  [z.union([z.literal("auto"), z.int()]), '"auto" or an integer'],
  [z.enum(["a", "b"]).optional(), 'one of "a", "b"'],
  [z.array(z.boolean()).min(2), "a list of at least 2 entries, each true or false"],
  [z.string(), "a string"],
  [z.strictObject({}), "a section (key: value)"],
])("expectedOf describes schema %#: %s", (type, words) => {
  expect(expectedOf(type)).toBe(words);
});

test("didYouMean suggests near candidates only", () => {
  expect(didYouMean("maskr", ["masker", "options"])).toBe('Did you mean "masker"? ');
  expect(didYouMean("zzzzzzzzzz", ["masker"])).toBe("");
  expect(didYouMean("a", [])).toBe("");
});

test("formatPath and parsePath agree; keys that are no plain word are quoted", () => {
  expect(formatPath(["steps", 0, "generate"])).toBe("steps[0].generate");
  expect(formatPath(["options", "a\nb"])).toBe('options["a\\nb"]');
  expect(parsePath("steps[0].generate.stop.ids[12]", "--set")).toEqual(["steps", "0", "generate", "stop", "ids", "12"]);
});

test("schemaAt and allowedKeys see through defaults, lists and unions, and hide keys that are always refused", () => {
  expect(allowedKeys(schemaAt(pipelineSchema, ["decode", "overrides", 3]))).toEqual(["layers", "kvPruner", "options"]);
  expect(schemaAt(pipelineSchema, ["prefill", "overrides", 0, "layers", 1])).toBeDefined();
  expect(schemaAt(pipelineSchema, ["prefill", "toString"])).toBeUndefined();
});

test("stepEntry takes a step apart", () => {
  const [step] = parseConfig("model: m\nsteps: [{compare: {prompt: {text: a}}}]", { file: "p.yaml" }).value.steps;
  expect(stepEntry(step)).toMatchObject({
    name: "compare",
    runner: "compare",
    settings: { prompt: { text: "a" }, rounds: 1 },
  });
});
