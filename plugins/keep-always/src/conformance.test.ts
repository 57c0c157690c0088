import { describePlugin, sampleBlocks } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { inner: { plugin: "sample-blocks" }, sinkTokens: 2, recentTokens: 5 },
  plugins: [sampleBlocks],
});
