import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

const window = { sinkTokens: 2, recentTokens: 30 };

describePlugin(plugin, { options: window, budget: () => 32 });
describePlugin(plugin, { options: { ...window, positions: "original" }, budget: () => 32 });
