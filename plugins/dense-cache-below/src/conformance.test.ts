import { describePlugin, sampleSelect } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, {
  options: { tokens: 100, inner: { plugin: "sample-select" } },
  plugins: [sampleSelect],
});
