import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { recentTokens: 7 },
  oracle:
    (_, { recentTokens }) =>
    (_head, i, j) =>
      i - j < recentTokens,
});
