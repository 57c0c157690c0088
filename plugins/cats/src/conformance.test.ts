import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

for (const quantile of ["exact", "histogram"]) describePlugin(plugin, { options: { quantile } });
