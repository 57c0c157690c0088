import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { budget: 24, selectionLayers: [1, 2], sinkTokens: 1, recentTokens: 2 },
  budget: () => 24,
});
