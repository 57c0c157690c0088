import { floatValues } from "@winnow/core";
import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { oracleKept } from "./oracle.js";

describePlugin(plugin);
for (const scope of ["layer", "layer-threshold", "row"] as const)
  describePlugin(plugin, {
    options: { scope, sparsity: 0.4 },
    oracle: ({ weight }) => {
      const values = floatValues(weight);
      const rows = Array.from({ length: weight.outFeatures }, (_, o) =>
        Array.from(values.subarray(o * weight.inFeatures, (o + 1) * weight.inFeatures)),
      );
      return oracleKept(rows, scope, 0.4);
    },
  });
describePlugin(plugin, { options: { pattern: { keep: 4, of: 8 } } });
