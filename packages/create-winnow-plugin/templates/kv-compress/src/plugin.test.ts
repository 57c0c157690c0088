import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { oracle } from "./oracle.js";

// One test for each rule of the contract, and one that holds the elements that stay against the oracle.
describePlugin(plugin, { options: { keepRatio: 0.3 }, oracle });
