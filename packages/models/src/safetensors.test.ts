import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadSafetensors, readSafetensorsHeader, readTensor } from "./safetensors.js";
import { writeSafetensors } from "./safetensors-write.js";

const folder = mkdtempSync(join(tmpdir(), "winnow-safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with a header as given, valid or not, and `dataBytes` bytes of data. */
function fileOf(header: unknown, dataBytes: number, headerLength?: bigint): string {
  const json = typeof header === "string" ? header : JSON.stringify(header);
  const bytes = Buffer.alloc(8 + json.length + dataBytes);
  bytes.writeBigUInt64LE(headerLength ?? BigInt(json.length), 0);
  bytes.write(json, 8);
  const path = join(folder, `${readdirSync(folder).length}.safetensors`);
  writeFileSync(path, bytes);
  return path;
}

const entry = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype: unknown = "F32") => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const modelFile = (message: RegExp) =>
  expect.objectContaining({ code: "ERR_MODEL_FILE", message: expect.stringMatching(message) });
const modelTensor = (message: RegExp) =>
  expect.objectContaining({ code: "ERR_MODEL_TENSOR", message: expect.stringMatching(message) });

describe("readSafetensorsHeader", () => {
  it("readSafetensorsHeader gives name, dtype, shape and place of each tensor in file order", () => {
    const header = { b: entry(8, 16, [1, 2]), a: entry(0, 8), __metadata__: { made: "here" } };
    const path = fileOf(header, 16);
    const start = 8 + JSON.stringify(header).length;
    const file = readSafetensorsHeader(path);
    expect(file.metadata).toEqual({ made: "here" });
    expect([...file.tensors.values()]).toEqual([
      { name: "a", dtype: "F32", shape: [2], elements: 2, start, byteLength: 8 },
      { name: "b", dtype: "F32", shape: [1, 2], elements: 2, start: start + 8, byteLength: 8 },
    ]);
  });

  it("readSafetensorsHeader accepts scalars, empty tensors and a file without tensors", () => {
    const file = readSafetensorsHeader(fileOf({ scalar: entry(0, 4, []), empty: entry(4, 4, [0, 3]) }, 4));
    expect(file.tensors.get("scalar")?.elements).toBe(1);
    expect(file.tensors.get("empty")?.elements).toBe(0);
    expect(readSafetensorsHeader(fileOf({}, 0)).tensors.size).toBe(0);
  });

  it.each<[string, () => string, RegExp]>([
    ["a missing file", () => join(folder, "absent"), /Cannot read ".*absent".*no such file/],
    ["a file shorter than the header length", () => truncated(fileOf({}, 0), 5), /at least the 8 bytes.*got 5 bytes/],
    ["a truncated header", () => truncated(fileOf({ a: entry(0, 8) }, 8), 20), /header length must be in 2\.\.12/],
    [
      "a header length beyond the file",
      () => fileOf({}, 0, 1n << 40n),
      /header length must be in 2\.\.2.*got 1099511627776/,
    ],
    ["a header length beyond 2^53", () => fileOf({}, 0, (1n << 64n) - 1n), /got 18446744073709551615/],
    ["a header length of 0", () => fileOf({}, 0, 0n), /got 0/],
    ["a header that is not JSON", () => fileOf("{nonsense", 0), /must be UTF-8 JSON/],
    ["a header that is a list", () => fileOf("[1]", 0), /must be a JSON object, got \[1\]/],
    ["metadata that is not text", () => fileOf({ __metadata__: { n: 1 } }, 0), /must hold texts only, got 1 for "n"/],
    [
      "offsets beyond the file, as after a broken download",
      () => fileOf({ a: entry(0, 400) }, 8),
      /"a" must end at data byte 400, but the file ends at 8: it is cut off/,
    ],
    ["bytes that no tensor covers", () => fileOf({ a: entry(0, 8) }, 12), /must cover all 12 data bytes, got 8/],
    [
      "a name that stands twice",
      () => fileOf(`{"a":${JSON.stringify(entry(4, 8))},"a":${JSON.stringify(entry(0, 4))}}`, 8),
      /must cover all 8 data bytes, got 4/,
    ],
  ])("readSafetensorsHeader refuses %s", (_what, make, message) => {
    const path = make();
    expect(() => readSafetensorsHeader(path)).toThrow(modelFile(message));
  });

  it.each<[string, Record<string, unknown>, number, RegExp]>([
    ["overlapping tensors", { a: entry(0, 8), b: entry(4, 12) }, 12, /"b".*start at offset 8, got 4, which overlaps/],
    [
      "a hole between tensors",
      { a: entry(0, 4), b: entry(8, 12) },
      12,
      /"b".*start at offset 4, got 8, which leaves a hole/,
    ],
    ["a hole before the first tensor", { a: entry(4, 8) }, 8, /"a".*start at offset 0, got 4/],
    ["descending offsets", { a: { ...entry(0, 4), data_offsets: [4, 0] } }, 4, /"a".*ascending/],
    ["three offsets", { a: { ...entry(0, 4), data_offsets: [0, 4, 4] } }, 4, /"a".*two non-negative integers/],
    ["a negative offset", { a: { ...entry(0, 4), data_offsets: [-4, 0] } }, 4, /"a".*two non-negative integers/],
    ["an unknown dtype", { a: entry(0, 4, [1], "F8_E4M3") }, 4, /"a".*dtype must be one of F64, F32.*got "F8_E4M3"/],
    ["a dtype named like an object property", { a: entry(0, 4, [1], "constructor") }, 4, /dtype must be one of/],
    [
      "a shape that does not give the length",
      { a: entry(0, 8, [3]) },
      8,
      /"a".*must be 12 bytes long \(F32, shape \[3\]\), got 8/,
    ],
    ["a fractional size", { a: entry(0, 4, [0.5, 2]) }, 4, /"a".*shape must be a list of non-negative integers/],
    ["a negative size", { a: entry(0, 4, [-1, -1]) }, 4, /"a".*shape/],
    ["sizes whose product overflows", { a: entry(0, 4, [2 ** 40, 2 ** 40]) }, 4, /"a".*bytes long/],
    ["an entry that is not an object", { a: 7 }, 0, /"a".*must be an object, got 7/],
  ])("readSafetensorsHeader refuses %s", (_what, header, dataBytes, message) => {
    const path = fileOf(header, dataBytes);
    expect(() => readSafetensorsHeader(path)).toThrow(modelTensor(message));
  });
});

function truncated(path: string, bytes: number): string {
  truncateSync(path, bytes);
  return path;
}

describe("readTensor", () => {
  it("readTensor reads into shared memory and refuses a target of the wrong length", () => {
    const path = join(folder, "shared.safetensors");
    writeSafetensors(path, { x: { dtype: "I32", shape: [3], data: Int32Array.of(5, -6, 7) } });
    const file = readSafetensorsHeader(path);
    const x = file.tensors.get("x")!;
    const shared = new Int32Array(new SharedArrayBuffer(12));
    readTensor(file, x, new Uint8Array(shared.buffer));
    expect([...shared]).toEqual([5, -6, 7]);
    expect(() => readTensor(file, x, new Uint8Array(11))).toThrow(
      expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT" }),
    );
  });

  it("readTensor refuses a file that became shorter after its header was read", () => {
    const path = join(folder, "cut.safetensors");
    writeSafetensors(path, { x: { dtype: "F32", shape: [4], data: new Float32Array(4) } });
    const file = readSafetensorsHeader(path);
    truncateSync(path, file.tensors.get("x")!.start + 4);
    expect(() => readTensor(file, file.tensors.get("x")!)).toThrow(modelFile(/16 bytes were expected.*got 4/));
  });
});

describe("writeSafetensors", () => {
  const tensors = {
    odd: { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 255) },
    half: { dtype: "BF16", shape: [1, 2], data: Uint16Array.of(0x3f80, 0x4000) },
    lazy: { dtype: "I64", shape: [2], data: () => BigInt64Array.of(-1n, 1n << 60n) },
    none: { dtype: "F64", shape: [0], data: new Float64Array(0) },
  } as const;

  it("writeSafetensors writes what loadSafetensors reads back, with no temporary file left", () => {
    const target = mkdtempSync(join(folder, "w"));
    const path = join(target, "x.safetensors");
    writeSafetensors(path, tensors, { format: "pt" });
    const loaded = loadSafetensors(path);
    expect(readdirSync(target)).toEqual(["x.safetensors"]);
    expect(loaded.metadata).toEqual({ format: "pt" });
    expect(loaded.tensors.get("odd")).toEqual({ dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 255) });
    expect(loaded.tensors.get("half")).toEqual({ dtype: "BF16", shape: [1, 2], data: Uint16Array.of(0x3f80, 0x4000) });
    expect(loaded.tensors.get("lazy")?.data).toEqual(BigInt64Array.of(-1n, 1n << 60n));
    expect(loaded.tensors.get("none")?.data).toEqual(new Float64Array(0));
  });

  it("writeSafetensors leaves the old file as it was when data does not fit its shape", () => {
    const target = mkdtempSync(join(folder, "w"));
    const path = join(target, "x.safetensors");
    writeSafetensors(path, tensors);
    const wrong = { ...tensors, odd: { ...tensors.odd, shape: [4] } };
    expect(() => writeSafetensors(path, wrong)).toThrow(
      /"odd".*must be a Uint8Array of 4 bytes, got a Uint8Array of 3/,
    );
    expect(readdirSync(target)).toEqual(["x.safetensors"]);
    expect(loadSafetensors(path).tensors.get("odd")?.shape).toEqual([3]);
  });

  it("writeSafetensors names the file when its folder does not exist", () => {
    expect(() => writeSafetensors(join(folder, "no", "x.safetensors"), {})).toThrow(
      expect.objectContaining({
        code: "ERR_OUTPUT_FILE",
        message: expect.stringMatching(/Cannot write ".*x\.safetensors"/),
      }),
    );
  });
});
