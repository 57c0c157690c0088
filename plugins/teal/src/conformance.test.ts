import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

for (const quantile of ["abs", "signed"]) describePlugin(plugin, { options: { quantile } });
