import { describeOperations } from "@winnow/testkit";
import { loadNative } from "./index.js";

describeOperations("native", () => ({ operations: loadNative({ threads: 2 }) }), ["packedAttention"]);
