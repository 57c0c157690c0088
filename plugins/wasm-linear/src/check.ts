import { type DenseWeight, type FloatDtype, type LinearWeight, WinnowError } from "@winnow/core";

/** The weight itself. Throws `ERR_KERNEL_UNSUPPORTED` for another format, `ERR_OPERATION_ARGUMENT` for sizes that do not fit. */
export function checkWeight(weight: LinearWeight): DenseWeight {
  if (weight.format !== "dense") return refuse(`multiply with weights of format ${weight.format}`);
  const { dtype, outFeatures, inFeatures, data, bias } = weight;
  check(Number.isInteger(outFeatures) && outFeatures >= 1, `outFeatures must be at least 1, got ${outFeatures}`);
  check(Number.isInteger(inFeatures) && inFeatures >= 1, `inFeatures must be at least 1, got ${inFeatures}`);
  checkDtype(dtype);
  const elements = outFeatures * inFeatures;
  const Data = dtype === "f32" ? Float32Array : Uint16Array;
  const fits = data instanceof Data && data.length === elements;
  check(fits, `data must be ${elements} elements in a ${Data.name}, got ${data.length} in a ${data.constructor.name}`);
  check(!bias || bias.length === outFeatures, `bias must have ${outFeatures} elements, got ${bias?.length}`);
  return weight;
}

export function checkDtype(dtype: FloatDtype): void {
  check(dtype === "f32" || dtype === "bf16", `the type must be f32 or bf16, got "${dtype}"`);
}

export function checkOperands(
  x: Float32Array,
  rows: number,
  { inFeatures, outFeatures }: DenseWeight,
  out: Float32Array,
  sparseRows: number,
): void {
  const isCount = (value: number, most: number) => Number.isInteger(value) && value >= 0 && value <= most;
  check(isCount(rows, Number.MAX_SAFE_INTEGER), `rows must be a whole number, got ${rows}`);
  check(isCount(sparseRows, rows), `sparseRows must be in 0..${rows} (rows), got ${sparseRows}`);
  check(x.length >= rows * inFeatures, `x must have ${rows * inFeatures} elements, got ${x.length}`);
  check(out.length >= rows * outFeatures, `out must have ${rows * outFeatures} elements, got ${out.length}`);
}

export function refuse(what: string): never {
  throw new WinnowError(
    "ERR_KERNEL_UNSUPPORTED",
    `wasm-linear cannot ${what}: it multiplies with dense weights only. Use another kernel package for linear.`,
  );
}

function check(holds: boolean, problem: string): void {
  if (!holds) throw new WinnowError("ERR_OPERATION_ARGUMENT", `Cannot run linear: ${problem}. Pass arrays that fit.`);
}
