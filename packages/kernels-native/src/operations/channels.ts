import {
  type Activation,
  type ChannelsWeight,
  type DenseOperations,
  type FloatData,
  type FloatDtype,
  type GatedRowsWeight,
  type LowRankFactors,
  type Selection,
  WinnowError,
} from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkData, checkInteger } from "../check.js";
import { activations } from "./elementwise.js";

/** `DenseOperations.linear` for the format `channels`. */
export function channelsLinear(
  kernels: NativeKernels,
  x: Float32Array,
  rows: number,
  weight: ChannelsWeight,
  out: Float32Array,
  accumulate: boolean,
  sparseRows: number,
): number {
  const { outFeatures, inFeatures, data, bias, selection, lowRank } = weight;
  checkMatrix("linear", weight);
  checkRows(x, rows, weight, out);
  checkInteger("linear", "sparseRows", sparseRows, 0, rows);
  const selected = selectionFields("linear", selection, inFeatures);
  if (lowRank !== undefined) checkLowRank(lowRank, weight);
  const fields = { x, rows, inFeatures, outFeatures, data, bias, out, accumulate, sparseRows, ...selected, lowRank };
  const read = kernels.channelsLinear(fields);
  if (read < 0) throw notANumber("linear", `row ${-1 - read} of x`);
  return read;
}

/** `DenseOperations.linear` for the format `gated-rows`: always the whole matrix. */
export function gatedRowsLinear(
  kernels: NativeKernels,
  x: Float32Array,
  rows: number,
  weight: GatedRowsWeight,
  out: Float32Array,
  accumulate: boolean,
): number {
  const { outFeatures, inFeatures, data, bias } = weight;
  checkMatrix("linear", weight);
  checkRows(x, rows, weight, out);
  return kernels.rowsLinear({ x, rows, inFeatures, outFeatures, data, bias, out, accumulate });
}

export function channelOperations(kernels: NativeKernels): Pick<DenseOperations, "gatedLinear"> {
  return {
    gatedLinear(x, gate, weight, activation, out) {
      checkMatrix("gatedLinear", weight);
      const { format, outFeatures, inFeatures, data, bias, selection } = weight;
      check(format === "gated-rows", "gatedLinear", "weight.format", 'be "gated-rows"', format);
      checkArray("gatedLinear", "x", x, Float32Array, inFeatures);
      checkArray("gatedLinear", "gate", gate, Float32Array, outFeatures);
      checkArray("gatedLinear", "out", out, Float32Array, outFeatures);
      checkApart("gatedLinear", "out", out.subarray(0, outFeatures), x.subarray(0, inFeatures), "x");
      checkApart("gatedLinear", "out", out.subarray(0, outFeatures), gate.subarray(0, outFeatures), "gate");
      checkApart("gatedLinear", "gate", gate.subarray(0, outFeatures), x.subarray(0, inFeatures), "x");
      checkActivation(activation);
      const selected = selectionFields("gatedLinear", selection, outFeatures);
      const read = kernels.gatedLinear({ x, gate, inFeatures, outFeatures, data, bias, activation, out, ...selected });
      if (read < 0) throw notANumber("gatedLinear", "the activated gate");
      return read;
    },
  };
}

function checkActivation(activation: Activation): void {
  const expected = `be one of ${activations.join(", ")}`;
  check(activations.includes(activation), "gatedLinear", "activation", expected, activation);
}

function checkMatrix(operation: string, weight: ChannelsWeight | GatedRowsWeight): void {
  check(typeof weight === "object" && weight !== null, operation, "weight", "be a LinearWeight", weight);
  const { outFeatures, inFeatures, bias } = weight;
  checkInteger(operation, "weight.outFeatures", outFeatures, 1);
  checkInteger(operation, "weight.inFeatures", inFeatures, 1);
  checkData(operation, "weight", weight, outFeatures * inFeatures);
  if (bias !== undefined) checkArray(operation, "weight.bias", bias, Float32Array, outFeatures);
}

function checkRows(x: Float32Array, rows: number, weight: ChannelsWeight | GatedRowsWeight, out: Float32Array): void {
  const { inFeatures, outFeatures } = weight;
  checkInteger("linear", "rows", rows);
  checkArray("linear", "x", x, Float32Array, rows * inFeatures);
  checkArray("linear", "out", out, Float32Array, rows * outFeatures);
  checkApart("linear", "out", out.subarray(0, rows * outFeatures), x.subarray(0, rows * inFeatures), "x");
}

function checkApart(operation: string, argument: string, a: Float32Array, b: Float32Array, other: string): void {
  const overlap =
    a.buffer === b.buffer && a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength;
  check(!overlap, operation, argument, `not overlap ${other}`, a);
}

function checkLowRank(lowRank: LowRankFactors, { inFeatures, outFeatures }: ChannelsWeight): void {
  check(typeof lowRank === "object" && lowRank !== null, "linear", "weight.lowRank", "be LowRankFactors", lowRank);
  const { rank, dtype } = lowRank;
  checkInteger("linear", "weight.lowRank.rank", rank, 1);
  checkFactor("inputs", lowRank.inputs, dtype, inFeatures * rank);
  checkFactor("outputs", lowRank.outputs, dtype, rank * outFeatures);
}

function checkFactor(name: string, data: FloatData, dtype: FloatDtype, length: number): void {
  checkData("linear", `weight.lowRank.${name}`, { dtype, data }, length);
}

/** Selections whose numbers were found good: they do not change, and a decoder comes by for every token. */
const checkedNumbers = new WeakSet<Selection>();

/** A selection that was checked, as the binding reads it. */
function selectionFields(operation: string, selection: Selection, entries: number): object {
  const path = "weight.selection";
  check(typeof selection === "object" && selection !== null, operation, path, "be a Selection", selection);
  const { rule, scale } = selection;
  if (scale !== undefined) {
    checkArray(operation, `${path}.scale`, scale, Float32Array);
    check(scale.length === entries, operation, `${path}.scale`, `hold ${entries} elements`, scale);
  }
  if (rule === "largest") {
    checkInteger(operation, `${path}.keep`, selection.keep, 0, entries);
  } else {
    check(rule === "threshold", operation, `${path}.rule`, 'be "threshold" or "largest"', rule);
    const { thresholds } = selection;
    checkArray(operation, `${path}.thresholds`, thresholds, Float32Array);
    const fits = thresholds.length === 1 || thresholds.length === entries;
    check(fits, operation, `${path}.thresholds`, `hold 1 or ${entries} elements`, thresholds);
  }
  if (!checkedNumbers.has(selection)) checkNumbers(operation, selection);
  checkedNumbers.add(selection);
  return rule === "largest" ? { keep: selection.keep, scale } : { thresholds: selection.thresholds, scale };
}

function checkNumbers(operation: string, selection: Selection): void {
  selection.scale?.forEach((value, j) => {
    const good = value >= 0 && value < Infinity;
    check(good, operation, `weight.selection.scale[${j}]`, "be finite and not negative", value);
  });
  if (selection.rule === "largest") return;
  selection.thresholds.forEach((value, j) => {
    check(value > -Infinity, operation, `weight.selection.thresholds[${j}]`, "be finite or Infinity", value);
  });
}

function notANumber(operation: string, where: string): WinnowError {
  return new WinnowError(
    "ERR_NON_FINITE",
    `Cannot run ${operation}: ${where} holds a NaN or an infinity that gives the score NaN, which has no rank. Check the activations that led there.`,
  );
}
