import type {
  BitmapWeight,
  ChannelsWeight,
  GatedRowsWeight,
  GroupsWeight,
  Int8PanelWeight,
  LinearFormat,
  LinearWeight,
} from "@winnow/core";
import { channelsWeight, gatedRowsWeight } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded } from "../seeded.js";
import { denseWeight, fitting, prunedWeight } from "./weight-data.js";

type Malformed = [what: string, weight: LinearWeight];

const reference = createReference();

/** Rows 0..18 of 10 inputs, so that every layout is padded. */
const dense = prunedWeight(new Seeded(11), 19, 10, 0.5);

/** Weights that contradict themselves: decoding them and multiplying with them must fail, never read beyond a buffer. */
export function malformedSuite(operations: LoadedOperations, formats: readonly LinearFormat[]): void {
  for (const format of formats) {
    const { intact, malformed } = weights[format];
    if (malformed.length === 0) continue;
    describe(`a malformed ${format} weight`, () => {
      it("is told from an intact one, which runs", async () => {
        for (const weight of intact) await multiply(operations, weight);
      });

      it.each(malformed)("with %s is refused", async (_, weight) => {
        const refused = expect.objectContaining({
          name: "WinnowError",
          code: expect.stringMatching(/^ERR_(WEIGHT_FORMAT|OPERATION_ARGUMENT)$/),
        });
        // Selections and factors are left out of the matrix.
        if (!("selection" in weight)) expect(() => operations().decodeWeight(weight)).toThrow(refused);
        await expect((async () => multiply(operations, weight))()).rejects.toEqual(refused);
      });
    });
  }
}

/** Compressed and selecting formats that a package does not declare: refused, not misread. */
export function unsupportedSuite(operations: LoadedOperations, formats: readonly LinearFormat[]): void {
  const missing = allFormats.filter((format) => !format.startsWith("dense") && !formats.includes(format));
  if (missing.length === 0) return;
  it.each(missing)("%s weights, which the package does not declare, are refused", async (format) => {
    for (const weight of weights[format].intact) {
      const code = expect.stringMatching(/^ERR_(KERNEL_UNSUPPORTED|OPERATION_ARGUMENT)$/);
      await expect((async () => multiply(operations, weight))()).rejects.toMatchObject({ name: "WinnowError", code });
    }
  });
}

function multiply(operations: LoadedOperations, weight: LinearWeight): number | Promise<number> {
  const [x, out] = [new Float32Array(10).fill(1), new Float32Array(19)];
  if (weight.format === "gated-rows")
    return operations().gatedLinear(x, new Float32Array(19).fill(1), weight, "relu", out);
  return operations().linear(x, 1, weight, out, false, weight.format === "channels" ? 1 : 0);
}

const int8 = reference.encodeWeight(dense, { format: "int8-panel16" }) as Int8PanelWeight;
const bitmap = reference.encodeWeight(dense, { format: "bitmap", dtype: "bf16" }) as BitmapWeight;
const bitmap8 = reference.encodeWeight(dense, { format: "bitmap", dtype: "int8" }) as BitmapWeight;
const target = { format: "groups", keep: 2, of: 4 } as const;
const groups = reference.encodeWeight(fitting(dense, target), target) as GroupsWeight;
const channels = channelsWeight(dense, "f32", { rule: "threshold", thresholds: Float32Array.of(0.5) });
const rows = gatedRowsWeight(dense, "f32", { rule: "largest", keep: 4 });

const weights: Record<LinearFormat, { intact: readonly LinearWeight[]; malformed: readonly Malformed[] }> = {
  dense: {
    intact: [dense],
    malformed: [["too few elements", { ...dense, data: shorter(dense.data as Float32Array) }]],
  },
  "dense-panel16": densePanels(),
  "int8-panel16": {
    intact: [int8],
    malformed: [
      ["too few elements", { ...int8, data: shorter(int8.data) }],
      ["too few scales", { ...int8, scales: shorter(int8.scales) }],
      ["too few sums", { ...int8, sums: shorter(int8.sums) }],
      ["a scale of NaN", { ...int8, scales: changed(int8.scales, 3, Number.NaN) }],
      ["an infinite scale", { ...int8, scales: changed(int8.scales, 18, Number.POSITIVE_INFINITY) }],
    ],
  },
  bitmap: {
    intact: [bitmap, bitmap8],
    malformed: [...[bitmap, bitmap8].flatMap(malformedBitmaps), ...malformedInt8Bitmaps()],
  },
  groups: { intact: [groups], malformed: malformedGroups() },
  channels: { intact: [channels], malformed: malformedChannels() },
  "gated-rows": {
    intact: [rows],
    malformed: [
      ["too few elements", { ...rows, data: shorter(rows.data as Float32Array) }],
      ...selections(19).map(([what, selection]): Malformed => [what, { ...rows, selection }]),
    ],
  },
};

export const allFormats = Object.keys(weights) as readonly LinearFormat[];

function densePanels() {
  const packed = reference.packWeight(dense, "bf16");
  if (packed.format !== "dense-panel16") throw new Error(`expected dense-panel16, got ${packed.format}`);
  const short: LinearWeight = { ...packed, data: shorter(packed.data as Uint16Array) };
  const malformed: Malformed[] = [["too few elements", short]];
  return { intact: [packed], malformed };
}

function malformedBitmaps(weight: BitmapWeight): Malformed[] {
  const { dtype, bitmap: bits, values, offsets } = weight;
  const cases: Malformed[] = [
    ["a bitmap that is too short", { ...weight, bitmap: shorter(bits) }],
    ["too few offsets", { ...weight, offsets: shorter(offsets) }],
    ["offsets that start at 1", { ...weight, offsets: changed(offsets, 0, 1) }],
    ["offsets that descend", { ...weight, offsets: changed(offsets, 1, offsets[2] + 1) }],
    ["offsets that differ from the bitmap's count", { ...weight, offsets: changed(offsets, 1, offsets[1] - 1) }],
    ["an end beyond the values", { ...weight, offsets: changed(offsets, 2, offsets[2] + 1000) }],
    ["a bit too many", { ...weight, bitmap: changed(bits, 0, bits[0] | lowestClear(bits[0])) }],
    ["values without their 64 bytes of zeros", { ...weight, values: values.slice(0, offsets[2]) as typeof values }],
    ["values of another type", { ...weight, values: new Float32Array(values.length) as never }],
  ];
  return cases.map(([what, malformed]) => [`${dtype}: ${what}`, malformed]);
}

function malformedInt8Bitmaps(): Malformed[] {
  const { scales, sums, ...without } = bitmap8;
  return [
    ["int8: no scales", { ...without, sums: sums! }],
    ["int8: no sums", { ...without, scales: scales! }],
    ["int8: too few scales", { ...bitmap8, scales: shorter(scales!) }],
    ["int8: a scale of NaN", { ...bitmap8, scales: changed(scales!, 3, Number.NaN) }],
    ["f32 values", { ...bitmap8, dtype: "f32" as never }],
  ];
}

function malformedGroups(): Malformed[] {
  const { values, places } = groups;
  const full = reference.encodeWeight(denseWeight(1, 4, [1, 2, 0, 0]), target) as GroupsWeight;
  const widened = reference.encodeWeight(denseWeight(19, 10, new Float32Array(190).fill(0)), target) as GroupsWeight;
  // Both slots of row 0, group 0 are taken; equal places are not ascending.
  const twice = { ...widened, values: widened.values.slice(), places: widened.places.slice() };
  twice.values[0] = full.values[0];
  twice.values[16] = full.values[16];
  return [
    ["too few values", { ...groups, values: shorter(values) }],
    ["too few places", { ...groups, places: shorter(places) }],
    ["keep 0", { ...groups, keep: 0 }],
    ["keep beyond the group", { ...groups, keep: 5 }],
    ["groups of 3", { ...groups, of: 3 }],
    ["places that do not ascend", twice],
    // The last of 3 groups has 2 inputs: place 3 is outside x.
    ["a place behind the last input", { ...groups, places: changed(places, 4, places[4] | 0b11) }],
  ];
}

function malformedChannels(): Malformed[] {
  const factors = { rank: 2, dtype: "f32", inputs: new Float32Array(20), outputs: new Float32Array(38) } as const;
  const withFactors = (lowRank: ChannelsWeight["lowRank"]): LinearWeight => ({ ...channels, lowRank: lowRank! });
  return [
    ["too few elements", { ...channels, data: shorter(channels.data as Float32Array) }],
    ...selections(10).map(([what, selection]): Malformed => [what, { ...channels, selection }]),
    ["rank 0", withFactors({ ...factors, rank: 0 })],
    ["a rank beyond the factors", withFactors({ ...factors, rank: 3 })],
    ["too few input factors", withFactors({ ...factors, inputs: shorter(factors.inputs) })],
    ["too few output factors", withFactors({ ...factors, outputs: shorter(factors.outputs) })],
    ["factors of another type", withFactors({ ...factors, dtype: "bf16" })],
  ];
}

function selections(entries: number): [what: string, selection: GatedRowsWeight["selection"]][] {
  const thresholds = Float32Array.of(0.5);
  return [
    ["two thresholds", { rule: "threshold", thresholds: new Float32Array(2) }],
    ["no threshold", { rule: "threshold", thresholds: new Float32Array(0) }],
    ["a threshold of NaN", { rule: "threshold", thresholds: new Float32Array(entries).fill(Number.NaN, 1, 2) }],
    ["too short a scale", { rule: "threshold", thresholds, scale: new Float32Array(entries - 1) }],
    ["a scale of NaN", { rule: "largest", keep: 1, scale: new Float32Array(entries).fill(Number.NaN, 1, 2) }],
    ["a negative keep", { rule: "largest", keep: -1 }],
    ["a keep beyond the entries", { rule: "largest", keep: entries + 1 }],
    ["a keep that is not whole", { rule: "largest", keep: 1.5 }],
    ["an unknown rule", { rule: "random" } as never],
  ];
}

function shorter<T extends { slice(start: number, end: number): unknown; length: number }>(array: T): T {
  return array.slice(0, array.length - 1) as T;
}

function changed<T extends Float32Array | Uint32Array>(array: T, index: number, value: number): T {
  const copy = array.slice() as T;
  copy[index] = value;
  return copy;
}

function lowestClear(word: number): number {
  return ~word & (word + 1);
}
