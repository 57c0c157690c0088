import { describePlugin, sampleBlocks } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, { options: { tokens: 100, inner: { plugin: "sample-blocks" } }, plugins: [sampleBlocks] });
