import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Comparison, WinnowError } from "@winnow/core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { expectFixture, fixtureFiles, type RecordedFixture, readFixture } from "./fixtures.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "winnow-fixtures-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A file of a U8 tensor of 3 bytes and an unaligned F32 tensor behind it. */
function safetensors(dtype = "F32"): Buffer {
  const header = JSON.stringify({
    __metadata__: {
      method: "demo",
      case: "small",
      kind: "demo",
      params: '{"n":2}',
      compare: '{"out.x":{"mode":"exact"}}',
    },
    "out.mask": { dtype: "U8", shape: [3], data_offsets: [0, 3] },
    "out.x": { dtype, shape: [1, 2], data_offsets: [3, 11] },
  });
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const numbers = Buffer.from(Float32Array.of(1.5, -2).buffer);
  return Buffer.concat([size, Buffer.from(header), Buffer.of(1, 0, 1), numbers]);
}

function fixtureOf(values: number[], comparison: Comparison): RecordedFixture {
  const tensors = new Map([["out.x", { shape: [values.length], data: Float32Array.from(values) }]]);
  const compare = new Map([["out.x", comparison]]);
  return { method: "demo", name: "small", kind: "demo", params: {}, tensors, compare };
}

const compare = (expected: number[], comparison: Comparison, actual: number[]) => () =>
  expectFixture(fixtureOf(expected, comparison), { "out.x": actual });

describe("readFixture", () => {
  it("reads names, parameters, comparison rules and tensors at any byte", () => {
    const path = join(folder, "demo.small.safetensors");
    writeFileSync(path, safetensors());
    const fixture = readFixture(path);
    expect(fixture).toMatchObject({ method: "demo", name: "small", kind: "demo", params: { n: 2 } });
    expect(fixture.compare.get("out.x")).toEqual({ mode: "exact" });
    expect(fixture.tensors.get("out.x")).toEqual({ shape: [1, 2], data: Float32Array.of(1.5, -2) });
    expect(fixture.tensors.get("out.mask")).toEqual({ shape: [3], data: Uint8Array.of(1, 0, 1) });
  });

  it.each([
    ["a missing file", undefined, "no such file"],
    ["a truncated file", safetensors().subarray(0, -4), "out.x ends beyond the file"],
    ["an unknown dtype", safetensors("F64"), "dtype F64, expected F32, I32 or U8"],
    ["an empty file", Buffer.alloc(0), "shorter than a safetensors header"],
  ])("refuses %s with ERR_FIXTURE", (name, bytes, message) => {
    const path = join(folder, `bad.${name}.safetensors`);
    if (bytes) writeFileSync(path, bytes);
    expect(() => readFixture(path)).toThrow(WinnowError);
    expect(() => readFixture(path)).toThrow(message);
  });
});

describe("expectFixture", () => {
  const close = { mode: "close", atol: 0.1, rtol: 0.01 } as const;

  it("exact allows no difference at all", () => {
    expect(compare([1, 2], { mode: "exact" }, [1, 2])).not.toThrow();
    expect(compare([1, 2], { mode: "exact" }, [1, 2.0001])).toThrow("element 1 is 2.0001, expected 2 within 0");
  });

  it("close allows atol + rtol * |expected|, and names the first place beyond", () => {
    expect(compare([-100, 2], close, [-101.05, 2.1])).not.toThrow();
    expect(compare([-100, 2], close, [-101.2, 2])).toThrow("1 of 2 elements differ (0 may); first: element 0");
  });

  it("mostly allows its share of misses and no more", () => {
    const mostly = { ...close, mode: "mostly", share: 0.5 } as const;
    expect(compare([1, 2, 3, 4], mostly, [9, 9, 3, 4])).not.toThrow();
    expect(compare([1, 2, 3, 4], mostly, [9, 9, 9, 4])).toThrow("3 of 4 elements differ (2 may)");
  });

  it("equal infinities and NaN are the same; a NaN for a number is not", () => {
    const special = [Infinity, -Infinity, Number.NaN];
    expect(compare(special, close, special)).not.toThrow();
    expect(compare([1], close, [Number.NaN])).toThrow();
    expect(compare([Infinity], close, [-Infinity])).toThrow();
    expect(compare([Infinity], close, [1])).toThrow();
  });

  it("another length, a missing tensor and an unknown one are refused", () => {
    expect(compare([1, 2], close, [1])).toThrow("1 elements, expected 2");
    expect(() => expectFixture(fixtureOf([1], close), {})).toThrow("out.x must be compared, but was not returned");
    expect(() => expectFixture(fixtureOf([1], close), { "out.x": [1], "out.y": [1] })).toThrow("no such tensor");
  });
});

describe("fixtureFiles", () => {
  it("lists a method's bundled files, then those of every group in WINNOW_GOLDEN", () => {
    const [bundled, golden] = [join(folder, "bundled"), join(folder, "golden")];
    for (const place of [bundled, join(golden, "decode")]) {
      mkdirSync(place, { recursive: true });
      for (const name of ["demo.b", "demo.a", "demo-two.a"]) writeFileSync(join(place, `${name}.safetensors`), "");
    }
    vi.stubEnv("WINNOW_GOLDEN", golden);
    expect(fixtureFiles("demo", bundled)).toEqual(
      [bundled, join(golden, "decode")].flatMap((place) =>
        ["demo.a", "demo.b"].map((name) => join(place, `${name}.safetensors`)),
      ),
    );
    vi.stubEnv("WINNOW_GOLDEN", join(folder, "nowhere"));
    expect(fixtureFiles("demo", bundled)).toHaveLength(2);
    vi.unstubAllEnvs();
  });
});
