import { WinnowError } from "@winnow/core";
import { expect, test } from "vitest";
import { placeOf } from "./place.js";
import { readYaml } from "./yaml-text.js";

function complaint(text: string): string {
  try {
    readYaml(text, { file: "p.yaml" });
  } catch (error) {
    if (error instanceof WinnowError) return error.toString();
    throw error;
  }
  throw new Error("expected an error, there was none");
}

test("readYaml keeps the place of every key and value", () => {
  const { value, place } = readYaml("a:\n  - b: 1\n  - x\n", { file: "p.yaml" });
  expect(value).toEqual({ a: [{ b: 1 }, "x"] });
  expect(placeOf(place, ["a", 0, "b"])).toMatchObject({
    origin: "yaml",
    key: { file: "p.yaml", line: 2, column: 5 },
    value: { file: "p.yaml", line: 2, column: 8 },
  });
  expect(placeOf(place, ["a", 1])?.value).toEqual({ file: "p.yaml", line: 3, column: 5 });
});

test("readYaml replaces an alias by its value; what is inside keeps the place of the anchor", () => {
  const { value, place } = readYaml("a: &x {b: 1}\nc: *x", { file: "p.yaml" });
  expect(value).toEqual({ a: { b: 1 }, c: { b: 1 } });
  expect(placeOf(place, ["c"])?.value).toMatchObject({ line: 2, column: 4 });
  expect(placeOf(place, ["c", "b"])?.value).toMatchObject({ line: 1, column: 11 });
});

test.each([
  ["a: 1\na: 2", 'key "a" is repeated', "2:1"],
  ["b: {a: 1, a: 2}", 'key "a" is repeated', "1:11"],
  ["a: &a [*a]", "alias *a contains itself", "1:8"],
  ["a: *b", "alias *b has no anchor", "1:4"],
  ["a: &a {b: 1}\n<<: *a", 'merge keys ("<<") are not supported', "2:1"],
  ["a: !!str b", "tags are not supported, got !!str", "1:10"],
  ["a: !js/function b", "tags are not supported, got !js/function", "1:17"],
  ["%YAML 1.2\n---\na: b", "directives (lines that start with %) are not supported", "1:1"],
  ["%TAG ! tag:x,2000:\n---\na: b", "directives (lines that start with %) are not supported", "1:1"],
  ["%OTHER x\n---\na: b", "directives (lines that start with %) are not supported", "1:1"],
  ["a: b\n---\nc: d", "there must be one document, got a second one", "2:1"],
  ["1: a", "keys must be strings, got 1", "1:1"],
  ["null: a", "keys must be strings, got null", "1:1"],
  ["? [a]\n: b", "keys must be strings, got a list or mapping", "1:3"],
  ["? &a a\n: b\n? *a\n: c", "keys must be strings, got an alias", "3:3"],
  ["a: 'b", "missing closing 'quote", "1:6"],
  ["a: b\n\tc: d", "tabs are not allowed as indentation", "2:1"],
])("readYaml refuses %j: %s", (text, problem, place) => {
  expect(complaint(text)).toBe(`Cannot read p.yaml: ${problem}.\n  p.yaml:${place}  [ERR_CONFIG_SYNTAX]`);
});

test.each(["__proto__", "constructor", "prototype"])("readYaml refuses the key %s at any depth", (key) => {
  const end = `Cannot read p.yaml: key "${key}" is refused.\n  p.yaml:`;
  expect(complaint(`${key}: 1`)).toBe(`${end}1:1  [ERR_OPTION_UNKNOWN]`);
  expect(complaint(`a: {b: {"${key}": 1}}`)).toBe(`${end}1:9  [ERR_OPTION_UNKNOWN]`);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

const levels = (count: number) => Array.from({ length: count }, (_, index) => `${" ".repeat(index)}a:\n`).join("");
const aliasChain = (count: number) =>
  Array.from({ length: count }, (_, index) => `a${index}: &a${index} [${index > 0 ? `*a${index - 1}` : "1"}]\n`).join(
    "",
  );

test.each([
  ["64 lists in brackets", `${"[".repeat(64)}1${"]".repeat(64)}`, undefined],
  ["65 lists in brackets", `${"[".repeat(65)}1${"]".repeat(65)}`, "1:66"],
  ["100000 open brackets", "[".repeat(100_000), "1:66"],
  ["64 lists on one line", `${"- ".repeat(64)}1`, undefined],
  ["65 lists on one line", `${"- ".repeat(65)}1`, "1:131"],
  ["64 sections by indentation", levels(64), undefined],
  ["1300 sections by indentation", levels(1300), "66:66"],
  ["a chain of 63 aliases", aliasChain(63), undefined],
  ["a chain of 2000 aliases", aliasChain(2000), "64:12"],
])("readYaml allows 64 levels of nesting: %s", (_, text, place) => {
  const problem = `Cannot read p.yaml: more than 64 levels of nesting.\n  p.yaml:${place}  [ERR_CONFIG_SYNTAX]`;
  if (place === undefined) expect(() => readYaml(text, { file: "p.yaml" })).not.toThrow();
  else expect(complaint(text)).toBe(problem);
});

test("readYaml counts values after aliases are replaced, so that an alias bomb stays small", () => {
  const tens = (name: string) => `[${Array(10).fill(name).join(",")}]`;
  const bomb = ["a0: &a0 [1]", ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} ${tens(`*a${i}`)}`)];
  expect(complaint(bomb.join("\n"))).toContain("more than 100000 values");
});

test("readYaml refuses more than 1 MiB of text", () => {
  expect(complaint(`a: ${"x".repeat(2 << 20)}`)).toBe(
    "Cannot read p.yaml: more than 1048576 bytes.\n  p.yaml:1:1  [ERR_CONFIG_SYNTAX]",
  );
});
