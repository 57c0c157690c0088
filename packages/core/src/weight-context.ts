import { WinnowError } from "./errors.js";
import type { DenseWeight } from "./linear-weight.js";
import { floatValues } from "./weight-scorer.js";
import type { StatisticName, WeightContext } from "./weight-sparsifier.js";

/** Statistics whose size follows from the number of inputs alone. */
type InputStatistic = Exclude<StatisticName, "inputs" | "activatedGate">;

type Place = Pick<WeightContext, "layer" | "projection">;

/** Values of a matrix as float32. Throws `ERR_MODEL_TENSOR` for NaN or infinity, which no score can rank. */
export function finiteWeights({ layer, projection }: Place, weight: DenseWeight): Float32Array {
  const values = floatValues(weight);
  const bad = firstNotFinite(values);
  if (bad < 0) return values;
  const [o, i] = [Math.floor(bad / weight.inFeatures), bad % weight.inFeatures];
  throw new WinnowError(
    "ERR_MODEL_TENSOR",
    `Cannot prune ${projection} of layer ${layer}: weight (${o}, ${i}) is ${values[bad]}, expected a finite number. Check the model's file.`,
  );
}

/** A statistic of a matrix's inputs. Throws `ERR_CALIBRATION` where it is absent, of another size, or not finite. */
export function statisticOf(context: WeightContext, name: InputStatistic): Float32Array {
  const values = context.statistics[name];
  const problem = values ? problemOf(values, name, context.weight.inFeatures) : "is absent";
  if (!problem) return values!;
  throw new WinnowError(
    "ERR_CALIBRATION",
    `Cannot prune ${context.projection} of layer ${context.layer}: statistic "${name}" ${problem}.`,
  );
}

/** A statistic of the sampled tokens, `[sampled, width]`. Throws `ERR_CALIBRATION` where there is no token or a number is not finite. */
export function sampledStatistic(
  { statistics, layer, projection }: WeightContext,
  name: "inputs" | "activatedGate",
  width: number,
): Float32Array {
  const values = statistics[name];
  const isWhole = values !== undefined && values.length > 0 && values.length % width === 0;
  const bad = isWhole ? firstNotFinite(values) : -1;
  if (isWhole && bad < 0) return values;
  const got = isWhole ? `${values[bad]} at ${bad}` : `${values?.length ?? "no"} numbers`;
  throw new WinnowError(
    "ERR_CALIBRATION",
    `Cannot sparsify ${projection} of layer ${layer}: statistic "${name}" must hold rows of ${width} finite numbers for at least one token, got ${got}. Check the calibration text.`,
  );
}

function problemOf(values: Float32Array, name: InputStatistic, inFeatures: number): string | undefined {
  const expected = name === "hessian" ? inFeatures * inFeatures : inFeatures;
  if (values.length !== expected) return `holds ${values.length} numbers, expected ${expected}`;
  const bad = firstNotFinite(values);
  return bad < 0 ? undefined : `is ${values[bad]} at ${bad}, expected finite numbers`;
}

/** -1: none. A plain loop, for this reads every weight of a model. */
function firstNotFinite(values: Float32Array): number {
  for (let e = 0; e < values.length; e++) if (!Number.isFinite(values[e])) return e;
  return -1;
}
