import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin, { options: { blockSize: 16 } });
describePlugin(plugin, { options: { cut: "count", bits: 4 } });
describePlugin(plugin, { options: { pattern: { keep: 2, of: 4 } } });
