import { describePlugin, sampleSmallest } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { layers: [{ layers: "0-3", plugin: "sample-smallest" }] },
  plugins: [sampleSmallest],
});
