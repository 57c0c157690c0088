import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin);
describePlugin(plugin, { options: { pattern: { keep: 1, of: 2 } } });
