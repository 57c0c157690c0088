import { floatValues, type WeightContext } from "@winnow/core";
import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { oracleKept } from "./oracle.js";

/** One token whose inputs are the norms has the norms of all tokens. */
const kept = ({ weight, statistics }: WeightContext, removedOf: (size: number) => number, groupSize?: number) => {
  const values = floatValues(weight);
  const rows = Array.from({ length: weight.outFeatures }, (_, o) =>
    Array.from(values.subarray(o * weight.inFeatures, (o + 1) * weight.inFeatures)),
  );
  return oracleKept(rows, [Array.from(statistics.norm!)], removedOf, groupSize);
};

describePlugin(plugin, {
  options: { sparsity: 0.6 },
  oracle: (context) => kept(context, (size) => Math.floor(size * 0.6)),
});
describePlugin(plugin, {
  options: { pattern: { keep: 2, of: 4 } },
  oracle: (context) => kept(context, (size) => size - Math.min(2, size), 4),
});
describePlugin(plugin, { options: { variant: true } });
