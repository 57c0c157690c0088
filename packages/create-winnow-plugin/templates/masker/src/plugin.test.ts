import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { oracle } from "./oracle.js";

// One test for each rule of the contract, and one that holds the masks against the oracle.
describePlugin(plugin, { options: { stride: 2 }, oracle });
