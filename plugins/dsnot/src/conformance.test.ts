import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

for (const initial of ["wanda", "magnitude", "sparsegpt"])
  describePlugin(plugin, { options: { initial, skipLayer: "none" } });
describePlugin(plugin, { options: { initial: "wanda", skipLayer: "none", pattern: { keep: 2, of: 4 } } });
