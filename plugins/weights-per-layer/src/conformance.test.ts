import { describePlugin, sampleSmallest } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { layers: [{ plugin: "sample-smallest", layers: "1-2" }] },
  plugins: [sampleSmallest],
});
