import { describeOperations } from "@winnow/testkit";
import { onnxKernels } from "./kernel-package.js";

describeOperations("onnx", () => onnxKernels.load({ threads: 2, isa: "auto" }), ["linear"]);
