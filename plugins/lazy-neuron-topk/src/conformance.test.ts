import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

describePlugin(plugin);
describePlugin(plugin, { options: { rankBy: "hidden", keep: "auto" } });
describePlugin(plugin, { options: { mode: "nonzero" } });
