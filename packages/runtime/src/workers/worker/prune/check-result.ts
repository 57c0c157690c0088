import {
  type DenseWeight,
  dtypeOf,
  type FloatData,
  fromBf16,
  type LinearWeight,
  type Operations,
  type Selection,
  toBf16,
  WinnowError,
} from "@winnow/core";

/**
 * Checks what a sparsifier returned for `original`: a weight of the same shape, consistent and finite. Dense results and biases come back in the model's own type.
 * Errors: `ERR_PLUGIN_RESULT`. O(out * in).
 */
export function checkedResult(
  given: unknown,
  original: DenseWeight,
  operations: Pick<Operations, "decodeWeight">,
): LinearWeight {
  const weight = given as LinearWeight;
  if (typeof weight !== "object" || weight === null) throw failure(`a weight must be an object, got ${String(given)}`);
  checkShape(weight, original);
  checkBias(weight, original);
  if (weight.format === "dense") {
    checkDense(weight);
    const own = inType(weight, original);
    checkFinite(own);
    return withStorableBias(own, original);
  }
  checkFinite(decoded(weight, operations));
  if (weight.format === "channels") checkSelection(weight.selection, weight.inFeatures);
  if (weight.format === "gated-rows") checkSelection(weight.selection, weight.outFeatures);
  return withStorableBias(weight, original);
}

function checkShape({ outFeatures, inFeatures }: LinearWeight, original: DenseWeight): void {
  if (outFeatures === original.outFeatures && inFeatures === original.inFeatures) return;
  const expected = `${original.outFeatures} x ${original.inFeatures}`;
  throw failure(`the result must be ${expected} like the matrix, got ${outFeatures} x ${inFeatures}`);
}

function checkBias({ bias }: LinearWeight, original: DenseWeight): void {
  if (bias === undefined && original.bias === undefined) return;
  const expected = `a Float32Array of ${original.outFeatures} finite numbers`;
  if (!(bias instanceof Float32Array) || bias.length !== original.outFeatures || !bias.every(Number.isFinite))
    throw failure(`the bias must be ${expected}, as the matrix has, got ${describe(bias)}`);
}

/** A bias that the matrix did not have is stored in the type of its weights. */
function withStorableBias<W extends LinearWeight>(weight: W, { bias: own, dtype }: DenseWeight): W {
  const { bias } = weight;
  if (!bias || dtype === "f32" || (own && bias.every((value, o) => value === own[o]))) return weight;
  return { ...weight, bias: bias.map((value) => fromBf16(toBf16(value))) };
}

function checkDense({ data, dtype, outFeatures, inFeatures }: DenseWeight): void {
  const type = dtype === "f32" ? Float32Array : dtype === "bf16" ? Uint16Array : undefined;
  if (!type) throw failure(`dtype must be f32 or bf16, got ${JSON.stringify(dtype)}`);
  if (data instanceof type && data.length === outFeatures * inFeatures) return;
  const expected = `a ${type.name} of ${outFeatures * inFeatures} numbers`;
  throw failure(`the data of a ${dtype} matrix must be ${expected}, got ${describe(data)}`);
}

function checkFinite({ data, dtype, inFeatures }: DenseWeight): void {
  const bad =
    dtype === "bf16"
      ? (data as Uint16Array).findIndex((bits) => (bits & 0x7f80) === 0x7f80)
      : (data as Float32Array).findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  const value = dtype === "bf16" ? fromBf16(data[bad]) : data[bad];
  throw failure(`all weights must be finite, but [${Math.floor(bad / inFeatures)}, ${bad % inFeatures}] is ${value}`);
}

/** The values in the type of another matrix: what is stored is what the next sparsifier and the next layer see. */
export function inType(weight: DenseWeight, { dtype }: DenseWeight): DenseWeight {
  if (weight.dtype === dtype) return weight;
  const data: FloatData =
    dtype === "bf16" ? Uint16Array.from(weight.data, toBf16) : Float32Array.from(weight.data, fromBf16);
  return { ...weight, dtype: dtypeOf(data), data };
}

/** Decoding checks everything that the format demands. */
function decoded(weight: LinearWeight, { decodeWeight }: Pick<Operations, "decodeWeight">): DenseWeight {
  try {
    return decodeWeight(weight);
  } catch (cause) {
    const format = JSON.stringify((weight as { format?: unknown }).format);
    throw failure(`the result of format ${format} is not valid: ${(cause as Error).message}`, cause);
  }
}

function checkSelection(selection: Selection | undefined, entries: number): void {
  if (selection?.rule === "largest") {
    const { keep } = selection;
    if (!Number.isInteger(keep) || keep < 0 || keep > entries)
      throw failure(`a selection's keep must be in 0..${entries}, got ${keep}`);
  } else if (selection?.rule === "threshold") {
    checkNumbers("thresholds", selection.thresholds, [1, entries]);
  } else throw failure(`a selection's rule must be threshold or largest, got ${JSON.stringify(selection)}`);
  if (selection.scale) checkNumbers("scale", selection.scale, [entries]);
}

function checkNumbers(name: string, values: unknown, lengths: readonly number[]): void {
  if (values instanceof Float32Array && lengths.includes(values.length) && !values.some(Number.isNaN)) return;
  const expected = `a Float32Array of ${lengths.join(" or ")} numbers, none of them NaN`;
  throw failure(`a selection's ${name} must be ${expected}, got ${describe(values)}`);
}

function describe(value: unknown): string {
  if (!ArrayBuffer.isView(value)) return value === undefined ? "nothing" : typeof value;
  const array = value as Float32Array;
  return `${array.constructor.name} of ${array.length}`;
}

function failure(problem: string, cause?: unknown): WinnowError {
  return new WinnowError("ERR_PLUGIN_RESULT", `${problem}.`, cause === undefined ? {} : { cause });
}
