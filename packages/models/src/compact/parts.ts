import type { FloatData, Selection } from "@winnow/core";
import type { TensorData } from "../safetensors-dtype.js";
import type { CompactWeight, MatrixDescription } from "./description.js";

/** The arrays of a matrix by the name of their section. */
export type Parts = ReadonlyMap<string, TensorData>;

/** The arrays of a weight, without its bias; no copies. */
export function partsOf(weight: CompactWeight): Parts {
  return new Map(
    Object.entries(arraysOf(weight)).filter((part): part is [string, TensorData] => part[1] !== undefined),
  );
}

function arraysOf(weight: CompactWeight): Record<string, TensorData | undefined> {
  switch (weight.format) {
    case "bitmap": {
      const { bitmap, values, offsets, scales, sums } = weight;
      return { bitmap, values, offsets, scales, sums };
    }
    case "groups":
      return { values: weight.values, places: weight.places };
    case "int8-panel16":
      return { data: weight.data, scales: weight.scales, sums: weight.sums };
    case "channels": {
      const { data, selection, lowRank } = weight;
      return {
        data,
        ...selectionArrays(selection),
        "low_rank.inputs": lowRank?.inputs,
        "low_rank.outputs": lowRank?.outputs,
      };
    }
    case "gated-rows":
      return { data: weight.data, ...selectionArrays(weight.selection) };
  }
}

function selectionArrays(selection: Selection): Record<string, TensorData | undefined> {
  return {
    thresholds: selection.rule === "threshold" ? selection.thresholds : undefined,
    channel_scale: selection.scale,
  };
}

/** The weight that consists of these arrays; the inverse of {@link partsOf}. Types and lengths must have been checked. */
export function weightOf(matrix: MatrixDescription, parts: Parts, bias?: Float32Array): CompactWeight {
  const part = <T extends TensorData>(name: string) => parts.get(name) as T;
  const { outFeatures, inFeatures } = matrix;
  const shape = { outFeatures, inFeatures, ...(bias && { bias }) };
  const quantised = () => ({ scales: part<Float32Array>("scales"), sums: part<Int32Array>("sums") });
  switch (matrix.format) {
    case "bitmap":
      return {
        format: matrix.format,
        dtype: matrix.dtype,
        ...shape,
        bitmap: part("bitmap"),
        values: part("values"),
        offsets: part("offsets"),
        ...(matrix.dtype === "int8" && quantised()),
      };
    case "groups": {
      const { format, dtype, keep, of } = matrix;
      return { format, dtype, ...shape, keep, of, values: part("values"), places: part("places") };
    }
    case "int8-panel16":
      return { format: matrix.format, dtype: matrix.dtype, ...shape, data: part("data"), ...quantised() };
    case "channels": {
      const { format, dtype, lowRank } = matrix;
      const factors = lowRank && {
        ...lowRank,
        inputs: part<FloatData>("low_rank.inputs"),
        outputs: part<FloatData>("low_rank.outputs"),
      };
      const selection = selectionOf(matrix, parts);
      return { format, dtype, ...shape, data: part("data"), selection, ...(factors && { lowRank: factors }) };
    }
    case "gated-rows": {
      const { format, dtype } = matrix;
      return { format, dtype, ...shape, data: part("data"), selection: selectionOf(matrix, parts) };
    }
  }
}

function selectionOf(matrix: MatrixDescription & { format: "channels" | "gated-rows" }, parts: Parts): Selection {
  const scale = parts.get("channel_scale") as Float32Array | undefined;
  const { selection } = matrix;
  return selection.rule === "largest"
    ? { rule: selection.rule, keep: selection.keep, ...(scale && { scale }) }
    : { rule: selection.rule, thresholds: parts.get("thresholds") as Float32Array, ...(scale && { scale }) };
}
