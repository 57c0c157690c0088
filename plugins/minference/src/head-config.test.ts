import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { formatHeadConfig, type HeadConfig, parseHeadConfig, readHeadConfig } from "./head-config.js";
import plugin from "./index.js";

const model = { layers: 2, queryHeads: 2, kvHeads: 1, headDim: 8, contextLength: 4096 };
const folder = mkdtempSync(join(tmpdir(), "winnow-head-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

const everyType: HeadConfig = [
  { 0: ["vertical_and_slash", 1000, 6096, 0.98], 1: ["stream_llm", 100, 800, 0.5] },
  { 1: ["block_sparse", 100, 1, 12] },
];

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function errorOf(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error("expected an error");
}

describe("minference headConfig", () => {
  it("parseHeadConfig reads what formatHeadConfig writes, for every type", () => {
    expect(parseHeadConfig(formatHeadConfig(everyType), "x.json")).toEqual(everyType);
  });

  it("formatHeadConfig writes the reference's format, one layer per line", () => {
    expect(formatHeadConfig(everyType)).toBe(
      '[\n  {"0":["vertical_and_slash",1000,6096,0.98],"1":["stream_llm",100,800,0.5]},\n  {"1":["block_sparse",100,1,12]}\n]\n',
    );
  });

  it("parseHeadConfig takes an entry without score", () => {
    expect(parseHeadConfig('[{"0":["stream_llm",1,2]}]', "x.json")).toEqual([{ 0: ["stream_llm", 1, 2] }]);
  });

  it("readHeadConfig reads a file, takes an inline list, and nothing for nothing", () => {
    expect(readHeadConfig(file("good.json", formatHeadConfig(everyType)), model)).toEqual(everyType);
    expect(readHeadConfig(everyType, model)).toBe(everyType);
    expect(readHeadConfig(undefined, model)).toEqual([]);
  });

  it.each([
    ["a number", "3", ""],
    ["null", "null", ""],
    ["an object instead of layers", '{"0":["stream_llm",1,2,1]}', ""],
    ["a layer that is a list", "[[1]]", "[0]"],
    ["a head that is no number", '[{"zero":["stream_llm",1,2,1]}]', "[0].zero"],
    ["a head with a leading zero", '[{"01":["stream_llm",1,2,1]}]', "[0]"],
    ["an unknown type", '[{},{"1":["dense",1,2,1]}]', "[1]"],
    ["a size that is a string", '[{"0":["stream_llm","1",2,1]}]', "[0]"],
    ["a negative size", '[{"0":["stream_llm",-1,2,1]}]', "[0]"],
    ["a size that is not whole", '[{"0":["stream_llm",1.5,2,1]}]', "[0]"],
    ["a huge size", '[{"0":["stream_llm",1e300,2,1]}]', "[0]"],
    ["a short entry", '[{"0":["stream_llm"]}]', "[0]"],
    ["a long entry", '[{"0":["stream_llm",1,2,1,1]}]', "[0]"],
    ["a score that is a string", '[{"0":["stream_llm",1,2,"1"]}]', "[0]"],
  ])("parseHeadConfig refuses %s and says where", (_, text, place) => {
    const { code, message } = errorOf(() => parseHeadConfig(text, "heads.json"));
    expect(code).toBe("ERR_OPTION_TYPE");
    expect(message).toContain("heads.json");
    expect(message).toContain(place);
  });

  it.each(["", "[", '[{"0":', "\u0000", "[".repeat(200_000)])(
    "parseHeadConfig refuses text that is not JSON",
    (text) => {
      expect(errorOf(() => parseHeadConfig(text, "heads.json"))).toMatchObject({
        code: "ERR_CONFIG_SYNTAX",
        message: expect.stringContaining("heads.json"),
      });
    },
  );

  it("parseHeadConfig refuses valid JSON that is nested very deep", () => {
    const text = `${"[".repeat(5000)}${"]".repeat(5000)}`;
    expect(errorOf(() => parseHeadConfig(text, "heads.json")).code).toBe("ERR_OPTION_TYPE");
  });

  it("parseHeadConfig lets no key reach the prototype", () => {
    expect(parseHeadConfig('[{"__proto__":{"0":["stream_llm",1,2,1]}}]', "heads.json")).toEqual([{}]);
  });

  it("readHeadConfig names a file that is missing or a folder", () => {
    for (const path of [join(folder, "missing.json"), folder]) {
      expect(errorOf(() => readHeadConfig(path, model))).toMatchObject({
        code: "ERR_CONFIG_FILE",
        message: expect.stringContaining(path),
      });
    }
  });

  it("readHeadConfig refuses more layers or heads than the model has", () => {
    expect(errorOf(() => readHeadConfig([{}, {}, {}], model))).toMatchObject({
      code: "ERR_PLAN_CONFLICT",
      message: expect.stringContaining("3 layers, the model has 2"),
    });
    expect(errorOf(() => readHeadConfig([{ 2: ["stream_llm", 1, 1, 1] }], model))).toMatchObject({
      code: "ERR_PLAN_CONFLICT",
      message: expect.stringContaining("layer 0 names head 2, the model has 2 query heads"),
    });
  });

  it("check reports a bad file as a problem of headConfig, before weights are read", () => {
    const headConfig = file("bad.json", "[[1]]");
    const problems = plugin.check?.(plugin.options.parse({ headConfig }), model);
    expect(problems).toMatchObject([{ path: ["headConfig"], message: expect.stringContaining(headConfig) }]);
  });
});
