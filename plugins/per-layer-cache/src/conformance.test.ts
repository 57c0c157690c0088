import { describePlugin, sampleEvict, sampleSelect } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { layers: [{ layers: [0, "2-3"], plugin: "sample-select" }], otherwise: { plugin: "sample-evict" } },
  plugins: [sampleEvict, sampleSelect],
});
