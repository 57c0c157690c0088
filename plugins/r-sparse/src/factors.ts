import { type FloatDtype, type LowRankFactors, sharedFloats, type TruncatedSvd, toBf16 } from "@winnow/core";

/** The first `rank` singular triplets of a decomposition of at least that rank as factors V S and U^T, in shared memory; nothing for rank 0. */
export function factorsOf({ u, s, v }: TruncatedSvd, rank: number, dtype: FloatDtype): LowRankFactors | undefined {
  if (rank === 0) return undefined;
  const stored = dtype === "bf16" ? toBf16 : (value: number) => value;
  const [outFeatures, inFeatures] = [u.length / s.length, v.length / s.length];
  const inputs = sharedFloats(dtype, inFeatures * rank);
  const outputs = sharedFloats(dtype, rank * outFeatures);
  for (let k = 0; k < rank; k++) {
    for (let j = 0; j < inFeatures; j++) inputs[j * rank + k] = stored(v[j * s.length + k] * s[k]);
    for (let o = 0; o < outFeatures; o++) outputs[k * outFeatures + o] = stored(u[o * s.length + k]);
  }
  return { rank, dtype, inputs, outputs };
}
