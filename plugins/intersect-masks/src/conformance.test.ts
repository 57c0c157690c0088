import { describePlugin, sampleBlocks, sampleWindow } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { of: [{ plugin: "sample-window" }, { plugin: "sample-blocks" }] },
  plugins: [sampleBlocks, sampleWindow],
});
