import {
  type ChannelsWeight,
  type GatedRowsWeight,
  type LinearWeight,
  PANEL,
  panelElements,
  placeBits,
} from "@winnow/core";
import { z } from "zod";
import type { TensorDtype } from "../safetensors-dtype.js";

/** The newest version of the compact format that this code reads. */
export const FORMAT_VERSION = 2;

/** The oldest version whose readers understand a file: those of version 1 know no added biases. */
export function versionFor(biases: readonly string[]): number {
  return biases.length > 0 ? 2 : 1;
}

const size = z
  .int()
  .min(1)
  .max(1 << 24);
const shape = { outFeatures: size, inFeatures: size };
const floatDtype = z.enum(["f32", "bf16"]);

/** `scaled`: the matrix has a section `.channel_scale`. */
const selection = z.discriminatedUnion("rule", [
  z.strictObject({ rule: z.literal("threshold"), scaled: z.boolean() }),
  z.strictObject({ rule: z.literal("largest"), keep: size, scaled: z.boolean() }),
]);

/** What the metadata of a compact file says of one matrix: everything but the numbers. `replaces`: type of the plain tensor it stands for. */
export const descriptionSchema = z.discriminatedUnion("format", [
  z.strictObject({ format: z.literal("bitmap"), dtype: z.enum(["bf16", "int8"]), ...shape, replaces: storedFloat() }),
  z.strictObject({
    format: z.literal("groups"),
    dtype: z.literal("bf16"),
    ...shape,
    keep: z.int().min(1).max(16),
    of: z.literal([2, 4, 8, 16]),
    replaces: storedFloat(),
  }),
  z.strictObject({ format: z.literal("int8-panel16"), dtype: z.literal("int8"), ...shape, replaces: storedFloat() }),
  z.strictObject({
    format: z.literal("channels"),
    dtype: floatDtype,
    ...shape,
    selection,
    lowRank: z.strictObject({ rank: size, dtype: floatDtype }).optional(),
    replaces: storedFloat(),
  }),
  z.strictObject({ format: z.literal("gated-rows"), dtype: floatDtype, ...shape, selection, replaces: storedFloat() }),
]);

function storedFloat() {
  return z.enum(["F32", "F16", "BF16"]);
}

export type MatrixDescription = z.infer<typeof descriptionSchema>;

/** Weights that the compact format stores as sections; the others are plain tensors. */
export type CompactWeight = Exclude<LinearWeight, { readonly format: "dense" | "dense-panel16" }>;

export function isCompactWeight(weight: LinearWeight): weight is CompactWeight {
  return weight.format !== "dense" && weight.format !== "dense-panel16";
}

/** One array of a matrix, a tensor named `<matrix>.<part>`. A size of null follows from the content. */
export interface Section {
  readonly part: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly (number | null)[];
}

/** The sections that a matrix consists of, in the order in which they are written. */
export function sectionsOf(matrix: MatrixDescription): readonly Section[] {
  const { outFeatures: out, inFeatures: inputs } = matrix;
  const panels = Math.ceil(out / PANEL);
  const quantised: Section[] = [
    { part: "scales", dtype: "F32", shape: [out] },
    { part: "sums", dtype: "I32", shape: [out] },
  ];
  switch (matrix.format) {
    case "bitmap":
      return [
        { part: "bitmap", dtype: "U32", shape: [panelElements(matrix.dtype, out, inputs) / 32] },
        { part: "values", dtype: tensorDtype(matrix.dtype), shape: [null] },
        { part: "offsets", dtype: "U32", shape: [panels + 1] },
        ...(matrix.dtype === "int8" ? quantised : []),
      ];
    case "groups": {
      const groups = Math.ceil(inputs / matrix.of);
      return [
        { part: "values", dtype: "BF16", shape: [panels, groups, matrix.keep, PANEL] },
        { part: "places", dtype: "U32", shape: [panels, groups, matrix.keep, placeBits(matrix.of).words] },
      ];
    }
    case "int8-panel16":
      return [{ part: "data", dtype: "I8", shape: [panels, Math.ceil(inputs / 4), PANEL, 4] }, ...quantised];
    case "channels":
      return [
        { part: "data", dtype: tensorDtype(matrix.dtype), shape: [inputs, out] },
        ...selectionSections(matrix.selection, inputs),
        ...lowRankSections(matrix),
      ];
    case "gated-rows":
      return [
        { part: "data", dtype: tensorDtype(matrix.dtype), shape: [out, inputs] },
        ...selectionSections(matrix.selection, out),
      ];
  }
}

function selectionSections({ rule, scaled }: { rule: string; scaled: boolean }, entries: number): Section[] {
  return [
    ...(rule === "threshold" ? [{ part: "thresholds", dtype: "F32", shape: [null] } as const] : []),
    ...(scaled ? [{ part: "channel_scale", dtype: "F32", shape: [entries] } as const] : []),
  ];
}

function lowRankSections(matrix: MatrixDescription & { format: "channels" }): Section[] {
  if (!matrix.lowRank) return [];
  const { rank, dtype } = matrix.lowRank;
  return [
    { part: "low_rank.inputs", dtype: tensorDtype(dtype), shape: [matrix.inFeatures, rank] },
    { part: "low_rank.outputs", dtype: tensorDtype(dtype), shape: [rank, matrix.outFeatures] },
  ];
}

function tensorDtype(dtype: "f32" | "bf16" | "int8"): TensorDtype {
  return ({ f32: "F32", bf16: "BF16", int8: "I8" } as const)[dtype];
}

/** Description of a weight in memory. */
export function describeWeight(weight: CompactWeight, replaces: MatrixDescription["replaces"]): MatrixDescription {
  const { outFeatures, inFeatures } = weight;
  const common = { outFeatures, inFeatures, replaces };
  switch (weight.format) {
    case "bitmap":
      return { format: weight.format, dtype: weight.dtype, ...common };
    case "groups":
      return {
        format: weight.format,
        dtype: weight.dtype,
        ...common,
        keep: weight.keep,
        of: weight.of as 2 | 4 | 8 | 16,
      };
    case "int8-panel16":
      return { format: weight.format, dtype: weight.dtype, ...common };
    case "channels":
      return {
        format: weight.format,
        dtype: weight.dtype,
        ...common,
        selection: describeSelection(weight),
        ...(weight.lowRank && { lowRank: { rank: weight.lowRank.rank, dtype: weight.lowRank.dtype } }),
      };
    case "gated-rows":
      return { format: weight.format, dtype: weight.dtype, ...common, selection: describeSelection(weight) };
  }
}

function describeSelection({ selection: choice }: ChannelsWeight | GatedRowsWeight) {
  const scaled = choice.scale !== undefined;
  return choice.rule === "threshold" ? { rule: choice.rule, scaled } : { rule: choice.rule, keep: choice.keep, scaled };
}
