import { expect, test } from "vitest";
import { onnxRuntimeStatus } from "./onnx-runtime.js";

function failing(message: string, code: string) {
  return () => {
    throw Object.assign(new Error(message), { code });
  };
}

test("onnxRuntimeStatus is available where onnxruntime-node loads", () => {
  expect(onnxRuntimeStatus()).toEqual({ available: true });
});

test("onnxRuntimeStatus says how to install a package that is missing", () => {
  const status = onnxRuntimeStatus(failing("Cannot find module 'onnxruntime-node'", "MODULE_NOT_FOUND"));
  expect(status).toMatchObject({ available: false, reason: expect.stringMatching(/not installed.*npm install/) });
});

test.each([
  ["that is absent", "Cannot find module '../bin/napi-v6/linux/x64/onnxruntime_binding.node'", "MODULE_NOT_FOUND"],
  ["that does not load", "libstdc++.so.6: version GLIBCXX_3.4.30 not found", "ERR_DLOPEN_FAILED"],
])("onnxRuntimeStatus names the platforms for a binary %s", (_, message, code) => {
  const status = onnxRuntimeStatus(failing(message, code));
  expect(status).toMatchObject({ available: false, reason: expect.stringMatching(/among its platforms/) });
  expect(status).toMatchObject({ reason: expect.stringContaining(message) });
});
