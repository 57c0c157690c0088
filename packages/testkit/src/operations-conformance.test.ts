import { createReference } from "@winnow/kernels-reference";
import { describeOperations } from "./operations-conformance.js";

describeOperations("reference", () => ({ operations: createReference() }));
