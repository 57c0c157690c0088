import { resolve } from "node:path";
import { WinnowError } from "@winnow/core";
import { expect, test } from "vitest";
import { configFromObject } from "./config.js";

function complaint(input: unknown): string {
  try {
    configFromObject(input);
  } catch (error) {
    if (error instanceof WinnowError) return error.toString();
    throw error;
  }
  throw new Error("expected an error, there was none");
}

test("configFromObject reads an object like a file; paths start from the given folder or the current one", () => {
  expect(configFromObject({ model: "m" }).value.model).toBe(resolve("m"));
  const document = configFromObject({ model: "m", workers: 2 }, { folder: "/x" });
  expect(document.value).toMatchObject({ model: "/x/m", workers: 2, precision: "bf16" });
  expect([document.file, document.folder]).toEqual([undefined, "/x"]);
});

test("configFromObject tells the program's values, the arguments' and defaults apart", () => {
  const document = configFromObject(
    { model: "m", workers: 2, prefill: { options: { a: 1 } } },
    { sets: ["workers=3"] },
  );
  expect(document.value.workers).toBe(3);
  expect(document.originOf(["model"])).toEqual({ origin: "code" });
  expect(document.originOf(["prefill", "options", "a"])).toEqual({ origin: "code" });
  expect(document.originOf(["workers"])).toEqual({ origin: "set" });
  expect(document.originOf(["threads"])).toEqual({ origin: "default" });
  expect(document.originOf(["prefill", "masker"])).toEqual({ origin: "default" });
});

test("configFromObject copies: later changes of the object have no effect", () => {
  const options = { a: [1] };
  const document = configFromObject({ model: "m", prefill: { options } });
  options.a.push(2);
  expect(document.value.prefill.options).toEqual({ a: [1] });
});

test("configFromObject takes undefined as absent, and objects without prototype as plain", () => {
  expect(configFromObject({ model: "m", workers: undefined }).value.workers).toBe(1);
  expect(configFromObject(Object.assign(Object.create(null), { model: "m" })).value.workers).toBe(1);
});

class Pipeline {
  model = "m";
}
const cyclic: Record<string, unknown> = { model: "m" };
cyclic.prefill = { options: { again: cyclic } };
const deep = Array.from({ length: 100_000 }).reduce<unknown>((inner) => ({ inner }), 1);
const inOptions = (a: unknown) => ({ model: "m", prefill: { options: { a } } });

test.each([
  ["nothing", undefined, "the configuration: must be plain data, got nothing.", "TYPE"],
  ["null", null, "the configuration: must be a section (key: value), got null.", "TYPE"],
  ["a list", [], "the configuration: must be a section (key: value), got [].", "TYPE"],
  ["a function", () => ({}), "the configuration: must be plain data, got a function.", "TYPE"],
  ["a class instance", new Pipeline(), "the configuration: must be plain data, got an instance of Pipeline.", "TYPE"],
  ["a Map", new Map(), "the configuration: must be plain data, got an instance of Map.", "TYPE"],
  ["a function inside", inOptions(() => 1), "prefill.options.a: must be plain data, got a function.", "TYPE"],
  ["a Date inside", inOptions(new Date(0)), "prefill.options.a: must be plain data, got an instance of Date.", "TYPE"],
  ["a bigint inside", inOptions(1n), "prefill.options.a: must be plain data, got a bigint.", "TYPE"],
  ["a symbol inside", inOptions(Symbol("s")), "prefill.options.a: must be plain data, got a symbol.", "TYPE"],
  [
    "undefined in a list",
    { model: "m", plugins: ["a", undefined] },
    "plugins[1]: must be plain data, got nothing.",
    "TYPE",
  ],
  ["a hole in a list", { model: "m", plugins: Array(1) }, "plugins[0]: must be plain data, got nothing.", "TYPE"],
  ["a cycle", cyclic, "prefill.options.again: must be plain data, got an object that contains itself.", "TYPE"],
  ["deep nesting", inOptions(deep), "prefill: has more than 64 levels of nesting.", "RANGE"],
  ["many values", inOptions(Array(200_000).fill(0)), "the configuration: holds more than 100000 values.", "RANGE"],
  ["__proto__", JSON.parse('{"model": "m", "__proto__": {"a": 1}}'), "__proto__: is refused as a key.", "UNKNOWN"],
  [
    "NaN",
    { model: "m", workers: Number.NaN },
    "workers: must be an integer from 1 to 256 and finite, got NaN.",
    "RANGE",
  ],
])("configFromObject refuses %s", (_, input, message, code) => {
  expect(complaint(input)).toBe(`Cannot configure ${message}\n  [ERR_OPTION_${code}]`);
});

test("configFromObject allows one object at several places", () => {
  const shared = { a: 1 };
  const { value } = configFromObject({ model: "m", prefill: { options: shared }, decode: { options: shared } });
  expect(value.decode.options).toEqual(value.prefill.options);
});
