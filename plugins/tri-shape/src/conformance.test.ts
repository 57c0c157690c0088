import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { keptKeys } from "./oracle.js";

describePlugin(plugin, {
  options: { sinkTokens: 3, recentTokens: 20, denseLastTokens: 10, startingLayer: 1 },
  oracle: ({ q }, { sinkTokens, recentTokens, denseLastTokens }) => {
    return (_head, i, j) => keptKeys(q.length, i, sinkTokens, recentTokens, denseLastTokens).includes(j);
  },
});
