import { floatValues, type WeightContext } from "@winnow/core";

/** The method again, by sorting each row in float64: 1 for a weight that stays, 0 for one that goes. */
export function oracle({ weight, statistics }: WeightContext, { sparsity }: { readonly sparsity: number }): number[] {
  const { outFeatures, inFeatures } = weight;
  const values = floatValues(weight);
  const kept = new Array<number>(outFeatures * inFeatures).fill(1);
  for (let o = 0; o < outFeatures; o++) {
    const row = Array.from({ length: inFeatures }, (_, i) => {
      const at = o * inFeatures + i;
      return { at, score: Math.abs(values[at]) * statistics.norm![i] };
    });
    row.sort((a, b) => a.score - b.score || a.at - b.at);
    for (const { at } of row.slice(0, Math.floor(inFeatures * sparsity))) kept[at] = 0;
  }
  return kept;
}
