import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin);
describePlugin(plugin, { options: { ratio: 0 } });
