import { describePlugin, sampleEvict, sampleSelect } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { layers: [{ plugin: "sample-select", layers: "1-2" }], otherwise: { plugin: "sample-evict" } },
  plugins: [sampleEvict, sampleSelect],
});
