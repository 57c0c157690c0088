import { describeOperations, describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { createWasmLinear } from "./wasm-linear.js";

describePlugin(plugin);

describeOperations("wasm-linear", createWasmLinear, ["linear"], ["dense"]);
