import { WinnowError } from "@winnow/core";
import { expect, test } from "vitest";
import { parseConfig } from "./config.js";
import { placeOf } from "./place.js";
import { applySet } from "./set-argument.js";
import { readYaml } from "./yaml-text.js";

const base = "model: m\nplugins: [a, b]\nprefill: {options: {x: 1, y: 2}}\n";
const set = (...sets: string[]) => sets.reduce(applySet, readYaml(base, { file: "p.yaml" }));

function complaint(...sets: string[]): string {
  try {
    parseConfig(base, { file: "p.yaml", sets });
  } catch (error) {
    if (error instanceof WinnowError) return error.toString();
    throw error;
  }
  throw new Error("expected an error, there was none");
}

test.each([
  ["workers=3", { workers: 3 }],
  ["model=", { model: null }],
  ["model=a=b", { model: "a=b" }],
  ["kernels.isa=generic", { kernels: { isa: "generic" } }],
  ["prefill.options.x=[1, two, {three: 3}]", { prefill: { options: { x: [1, "two", { three: 3 }], y: 2 } } }],
  ["plugins=[]", { plugins: [] }],
  ["plugins[1]=c", { plugins: ["a", "c"] }],
  ["plugins.1=c", { plugins: ["a", "c"] }],
  ["plugins[2]=c", { plugins: ["a", "b", "c"] }],
  ["steps[0].generate.prompt.text=hi", { steps: [{ generate: { prompt: { text: "hi" } } }] }],
])("applySet %s", (assignment, expected) => {
  expect(set(assignment).value).toEqual({ ...(set().value as object), ...expected });
});

test("applySet applies later assignments over earlier ones and leaves its input alone", () => {
  const before = readYaml(base, { file: "p.yaml" });
  expect(["prefill.options.x=3", "prefill.options.x=4"].reduce(applySet, before).value).toMatchObject({
    prefill: { options: { x: 4, y: 2 } },
  });
  expect(before).toEqual(readYaml(base, { file: "p.yaml" }));
});

test("applySet marks what it wrote, sections that it made included, and nothing beside it", () => {
  const { place } = set("prefill.options.x=3", "kernels.isa=generic");
  expect(placeOf(place, ["prefill", "options", "x"])).toMatchObject({
    origin: "set",
    argument: "--set prefill.options.x=3",
  });
  expect(placeOf(place, ["kernels"])).toMatchObject({ origin: "set", argument: "--set kernels.isa=generic" });
  expect(placeOf(place, ["prefill", "options", "y"])?.origin).toBe("yaml");
  expect(placeOf(place, ["prefill", "options"])?.origin).toBe("yaml");
});

test.each([
  [
    "workers=0",
    "Cannot configure workers: must be an integer from 1 to 256, got 0. Given by --set workers=0.",
    "ERR_OPTION_RANGE",
  ],
  [
    "prefill.maskr=x",
    'Cannot configure prefill.maskr: there is no such key. Did you mean "masker"? Allowed: masker, options, overrides. Given by --set prefill.maskr=x.',
    "ERR_OPTION_UNKNOWN",
  ],
  ["model=", "Cannot configure model: must be a non-empty string, got null. Given by --set model=.", "ERR_OPTION_TYPE"],
  ["model.x=1", 'Cannot apply --set model.x=1: model must be a section, got "m".', "ERR_OPTION_TYPE"],
  [
    "plugins[3]=c",
    'Cannot apply --set plugins[3]=c: the list needs an index from 0 to 2, got "3".',
    "ERR_OPTION_RANGE",
  ],
  ["plugins.x=c", 'Cannot apply --set plugins.x=c: the list needs an index from 0 to 2, got "x".', "ERR_OPTION_RANGE"],
  ["workers", "Cannot read --set workers: it must have the form path=value.", "ERR_USAGE"],
  [
    "a..b=1",
    'Cannot read --set a..b=1: the path must look like prefill.options.budget or steps[0].generate.maxNewTokens, got "a..b".',
    "ERR_USAGE",
  ],
  ["workers=[1", "Cannot read --set workers=[1: flow sequence must end with a ].", "ERR_CONFIG_SYNTAX"],
  ["__proto__.x=1", 'Cannot read --set __proto__.x=1: key "__proto__" is refused.', "ERR_OPTION_UNKNOWN"],
  [
    "prefill.constructor=1",
    'Cannot read --set prefill.constructor=1: key "constructor" is refused.',
    "ERR_OPTION_UNKNOWN",
  ],
  [
    "prefill={__proto__: 1}",
    'Cannot read --set prefill={__proto__: 1}: key "__proto__" is refused.',
    "ERR_OPTION_UNKNOWN",
  ],
])("--set %s is refused and named", (assignment, message, code) => {
  expect(complaint(assignment)).toBe(`${message}\n  [${code}]`);
});
