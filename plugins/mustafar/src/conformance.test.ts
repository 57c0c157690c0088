import { elementAt } from "@winnow/core";
import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { oracleKept } from "./oracle.js";

describePlugin(plugin, {
  options: { keySparsity: 0.7, recentTokens: 9, groupTokens: 16 },
  oracle: (context, part, { keySparsity, valueSparsity }) => {
    const x = context[part];
    return Array.from({ length: x.heads * x.length }, (_, row) => {
      const [head, token] = [Math.floor(row / x.length), row % x.length];
      const vector = Array.from({ length: x.headDim }, (_, c) => elementAt(x, head, token, c));
      return oracleKept(vector, part === "k" ? keySparsity : valueSparsity);
    });
  },
});
describePlugin(plugin, { options: { keySparsity: 0, valueSparsity: 0.99, recentTokens: 1, groupTokens: 1 } });
