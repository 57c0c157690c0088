import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { oracle } from "./oracle.js";

// One test for each rule of the contract, and one that holds the kept tokens against the oracle.
describePlugin(plugin, {
  options: { keepRatio: 0.5 },
  oracle,
  budget: (length) => Math.max(1, Math.floor(length * 0.5)),
});
