import { describePlugin, sampleBlocks, sampleWindow } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { heads: [{ plugin: "sample-blocks", heads: "1-2" }], otherwise: { plugin: "sample-window" } },
  plugins: [sampleBlocks, sampleWindow],
});
