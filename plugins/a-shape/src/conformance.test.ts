import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { keptKeys } from "./oracle.js";

describePlugin(plugin, {
  options: { sinkTokens: 3, recentTokens: 20 },
  oracle: (_, { sinkTokens, recentTokens }) => {
    return (_head, i, j) => keptKeys(i, sinkTokens, recentTokens).includes(j);
  },
});
