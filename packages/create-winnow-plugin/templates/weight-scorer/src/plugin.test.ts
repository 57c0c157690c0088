import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { oracle } from "./oracle.js";

// One test for each rule of the contract, and one that holds the zeros against the oracle.
describePlugin(plugin, { options: { sparsity: 0.4 }, oracle });
