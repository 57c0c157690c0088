import { type DenseWeight, type FloatDtype, fromBf16, toBf16, type WeightTarget } from "@winnow/core";
import { type Seeded, toStored } from "../seeded.js";

export const targets: readonly WeightTarget[] = [
  { format: "dense-panel16", dtype: "f32" },
  { format: "dense-panel16", dtype: "bf16" },
  { format: "int8-panel16" },
  { format: "bitmap", dtype: "bf16" },
  { format: "bitmap", dtype: "int8" },
  { format: "groups", keep: 1, of: 2 },
  { format: "groups", keep: 2, of: 4 },
  { format: "groups", keep: 3, of: 8 },
  { format: "groups", keep: 16, of: 16 },
];

export function titleOf(target: WeightTarget): string {
  if (target.format === "groups") return `groups ${target.keep}:${target.of}`;
  return "dtype" in target ? `${target.format} ${target.dtype}` : target.format;
}

/** Weights that are exact in bf16; a share `zeros` of them is 0, or -0 every seventh time. */
export function prunedWeight(seeded: Seeded, outFeatures: number, inFeatures: number, zeros: number): DenseWeight {
  const data = seeded.normals(outFeatures * inFeatures, { exactBf16: true }).map((value, e) => {
    if (seeded.uniform() >= zeros) return value;
    return e % 7 === 0 ? -0 : 0;
  });
  return { format: "dense", dtype: "f32", outFeatures, inFeatures, data };
}

/** The same with zeros where a target allows no more weights: in groups the first `keep` non-zeros stay. */
export function fitting(weight: DenseWeight, target: WeightTarget): DenseWeight {
  if (target.format !== "groups") return weight;
  const data = Float32Array.from(weight.data);
  for (let row = 0; row < data.length; row += weight.inFeatures) {
    for (let start = 0; start < weight.inFeatures; start += target.of) {
      const end = Math.min(start + target.of, weight.inFeatures);
      let left = target.keep;
      for (let e = row + start; e < row + end; e++) if (data[e] !== 0 && left-- <= 0) data[e] = 0;
    }
  }
  return { ...weight, data };
}

export function denseWeight(
  outFeatures: number,
  inFeatures: number,
  values: ArrayLike<number>,
  dtype: FloatDtype = "f32",
): DenseWeight {
  return { format: "dense", dtype, outFeatures, inFeatures, data: toStored(values, dtype) };
}

export function valuesOf({ dtype, data }: { dtype: FloatDtype; data: ArrayLike<number> }): Float32Array {
  return Float32Array.from(data, (stored) => (dtype === "bf16" ? fromBf16(stored) : stored));
}

export function roundToBf16(x: Float32Array): Float32Array {
  return x.map((value) => fromBf16(toBf16(value)));
}

/** `x W^T + bias` in float64, and the largest sum of magnitudes for tolerances. */
export function naiveLinear(x: Float32Array, rows: number, weight: DenseWeight) {
  const { outFeatures, inFeatures, bias } = weight;
  const w = valuesOf(weight);
  const out = new Float64Array(rows * outFeatures);
  let magnitude = 0;
  for (let place = 0; place < out.length; place++) {
    const [r, o] = [Math.floor(place / outFeatures), place % outFeatures];
    out[place] = bias?.[o] ?? 0;
    let absolute = Math.abs(out[place]);
    for (let i = 0; i < inFeatures; i++) {
      const product = x[r * inFeatures + i] * w[o * inFeatures + i];
      out[place] += product;
      absolute += Math.abs(product);
    }
    magnitude = Math.max(magnitude, absolute);
  }
  return { out, magnitude };
}
