import { describe, expect, it } from "vitest";
import type { TensorData } from "../safetensors-dtype.js";
import { checkContent } from "./content.js";
import { type CompactWeight, describeWeight, type MatrixDescription } from "./description.js";
import { examples } from "./oracle.js";
import { partsOf } from "./parts.js";

/** The first complaint about a matrix, as "section: problem"; undefined if it is in order. */
function complaint(
  weight: CompactWeight,
  change: Record<string, TensorData> = {},
  description: Partial<MatrixDescription> = {},
): string | undefined {
  const parts = new Map([...partsOf(weight), ...Object.entries(change)]);
  const matrix = { ...describeWeight(weight, "BF16"), ...description } as MatrixDescription;
  try {
    checkContent(matrix, parts, (part, problem) => {
      throw `${part}: ${problem}`;
    });
  } catch (text) {
    return text as string;
  }
}

const sizes = [1, 2, 15, 16, 17, 33].flatMap((out) =>
  [1, 2, 3, 4, 5, 16, 31, 40].map((inputs) => [out, inputs] as const),
);

describe("checkContent", () => {
  it.each(Object.keys(examples).filter((name) => !name.includes("rank")))(
    "checkContent accepts every size of %s",
    (name) => {
      for (const [out, inputs] of sizes)
        expect(complaint(examples[name](out, inputs).weight), `${out} x ${inputs}`).toBeUndefined();
    },
  );

  it("checkContent accepts matrices and panels without any weight", () => {
    const bitmap = new Uint32Array(3 * 10);
    const empty = { format: "bitmap", dtype: "bf16", outFeatures: 33, inFeatures: 20, bitmap } as const;
    const values = new Uint16Array(32);
    expect(complaint({ ...empty, values, offsets: new Uint32Array(4) })).toBeUndefined();
    expect(complaint({ ...empty, values: values.subarray(1), offsets: new Uint32Array(4) })).toMatch(
      /^values: .*64 bytes/,
    );
  });

  const bitmap = (name = "bitmap bf16") => examples[name](17, 5).weight as CompactWeight & { format: "bitmap" };
  const groups = () => examples["groups 2:4"](17, 6).weight as CompactWeight & { format: "groups" };
  const int8 = () => examples["int8-panel16"](17, 5).weight as CompactWeight & { format: "int8-panel16" };
  const channels = () =>
    examples["channels bf16 with low rank"](17, 5).weight as CompactWeight & { format: "channels" };
  const gated = () => examples["gated-rows bf16"](17, 5).weight as CompactWeight & { format: "gated-rows" };
  const patched = <T extends TensorData>(data: T, index: number, value: number): T => {
    const copy = data.slice() as T;
    copy[index] = value as never;
    return copy;
  };

  it.each<[string, () => string | undefined, RegExp]>([
    [
      "bitmap: a bit more",
      () => complaint(bitmap(), { bitmap: patched(bitmap().bitmap, 0, bitmap().bitmap[0] ^ 1) }),
      /^offsets: panel 1 must start at/,
    ],
    [
      "bitmap: a bit in a missing row",
      () => complaint(bitmap(), { bitmap: patched(bitmap().bitmap, 3, 1 << 31) }),
      /^bitmap: bit 31 of word 3 is padding/,
    ],
    [
      "bitmap: a bit in a missing column",
      () => complaint(bitmap(), { bitmap: patched(bitmap().bitmap, 2, 2) }),
      /^bitmap: bit 1 of word 2 is padding/,
    ],
    [
      "bitmap: offsets that start late",
      () => complaint(bitmap(), { offsets: patched(bitmap().offsets, 0, 1) }),
      /^offsets: panel 0 must start at 0/,
    ],
    [
      "bitmap: a value less",
      () => complaint(bitmap(), { values: bitmap().values.slice(1) }),
      /^values: the bitmap marks/,
    ],
    [
      "bitmap: a value more",
      () => complaint(bitmap(), { values: Uint16Array.from([0x3f80, ...bitmap().values]) }),
      /^values: the bitmap marks/,
    ],
    [
      "bitmap: a tail that is not zero",
      () => complaint(bitmap(), { values: patched(bitmap().values, bitmap().values.length - 1, 1) }),
      /^values: it must end with 64 bytes/,
    ],
    [
      "bitmap: infinity",
      () => complaint(bitmap(), { values: patched(bitmap().values, 0, 0x7f80) }),
      /^values: .*finite, but number 0/,
    ],
    [
      "bitmap int8: a changed value",
      () => complaint(bitmap("bitmap int8"), { values: patched(bitmap("bitmap int8").values, 0, -5) }),
      /^sums: row \d+ must be/,
    ],
    [
      "bitmap int8: a negative scale",
      () => complaint(bitmap("bitmap int8"), { scales: new Float32Array(17).fill(-1) }),
      /^scales: .*negative/,
    ],
    [
      "groups: a place outside the short last group",
      () => complaint(groups(), { places: patched(groups().places, 2, 2) }),
      /^places: lane 0 of slot 2 must be in 0\.\.1, got 2/,
    ],
    [
      "groups: a place twice",
      () => complaint(groups(), { places: new Uint32Array(8) }),
      /^places: lane \d+ of slot 1 must be above/,
    ],
    [
      "groups: a value in a missing row",
      () => complaint(groups(), { values: patched(groups().values, 4 * 16 + 1, 0x3f80) }),
      /^values: lane 1 of slot 4 lies beyond/,
    ],
    [
      "groups: keep above of",
      () =>
        complaint(
          examples["groups 3:8"](1, 1).weight,
          { values: new Uint16Array(9 * 16), places: new Uint32Array(18) },
          { keep: 9 },
        ),
      /^values: keep must be at most of \(8\), got 9/,
    ],
    ["int8: a wrong sum", () => complaint(int8(), { sums: new Int32Array(17) }), /^sums: row 0 must be/],
    [
      "int8: padding in use",
      () => complaint(int8(), { data: patched(int8().data, 255, 1) }),
      /^data: number 255 is padding/,
    ],
    [
      "int8: NaN as scale",
      () => complaint(int8(), { scales: patched(int8().scales, 16, NaN) }),
      /^scales: .*number 16/,
    ],
    [
      "int8: a scale less",
      () => complaint(int8(), { scales: new Float32Array(16) }),
      /^scales: it must hold 17 numbers, got 16/,
    ],
    [
      "int8: rows that overflow",
      () =>
        complaint({
          format: "int8-panel16",
          dtype: "int8",
          outFeatures: 1,
          inFeatures: 131076,
          data: new Int8Array(16 * 131076),
          scales: new Float32Array(1),
          sums: new Int32Array(1),
        }),
      /^values: int8 rows may be 131072/,
    ],
    [
      "channels: data of another type",
      () => complaint(channels(), { data: new Float32Array(85) }),
      /^data: it must be a Uint16Array, got Float32Array/,
    ],
    [
      "channels: NaN in a low-rank factor",
      () =>
        complaint(channels(), { "low_rank.outputs": patched(channels().lowRank!.outputs as Uint16Array, 3, 0x7fc0) }),
      /^low_rank\.outputs: .*number 3/,
    ],
    [
      "channels: more kept than there are",
      () => complaint({ ...channels(), selection: { rule: "largest", keep: 6 } }),
      /^data: its selection must keep at most 5/,
    ],
    [
      "channels: a negative scale",
      () => complaint(channels(), { channel_scale: new Float32Array(5).fill(-1) }),
      /^channel_scale: .*negative/,
    ],
    [
      "channels: a rank above the width",
      () =>
        complaint({
          ...channels(),
          lowRank: { rank: 6, dtype: "f32", inputs: new Float32Array(30), outputs: new Float32Array(102) },
        }),
      /rank must be at most 5, got 6/,
    ],
    [
      "gated-rows: two thresholds",
      () => complaint(gated(), { thresholds: new Float32Array(2) }),
      /^thresholds: it must hold 1 or 17 numbers, got 2/,
    ],
    [
      "gated-rows: an infinite threshold",
      () => complaint(gated(), { thresholds: Float32Array.of(Infinity) }),
      /^thresholds: .*number 0/,
    ],
    [
      "gated-rows: a section of another format",
      () => complaint(gated(), { sums: new Int32Array(17) }),
      /^sums: format gated-rows has no such section/,
    ],
  ])("checkContent refuses %s", (_what, check, message) => {
    expect(check()).toMatch(message);
  });
});
