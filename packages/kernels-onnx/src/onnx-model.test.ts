import { describe, expect, test } from "vitest";
import { OnnxGraph } from "./onnx-model.js";
import { createSession, loadOnnxRuntime } from "./onnx-runtime.js";
import { ModelProto } from "./onnx-schema.js";

const settings = { threads: 1, spinning: false };

describe("OnnxGraph", () => {
  test("initializer refuses data of another size than its shape", () => {
    const graph = new OnnxGraph("sizes");
    expect(() => graph.initializer("w", new Float32Array(5), [2, 3])).toThrow(
      expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT", message: expect.stringContaining("[2, 3]") }),
    );
  });

  test("encode writes fixed and symbolic sizes, attribute types and both operator sets", () => {
    const graph = new OnnxGraph("fields");
    const x = graph.input("x", "float32", ["rows", 4]);
    graph.nodeTo(["y"], "Made", [x, ""], { count: 0, rate: { float: 2 }, mode: "fast" }, "com.microsoft");
    graph.output("y", "int32", [1]);
    const model = ModelProto.toObject(ModelProto.decode(graph.encode()), { longs: Number });
    expect(model.opsetImport).toEqual([
      { domain: "", version: 21 },
      { domain: "com.microsoft", version: 1 },
    ]);
    const [input] = model.graph.input;
    expect(input.type.tensorType).toEqual({ elemType: 1, shape: { dim: [{ dimParam: "rows" }, { dimValue: 4 }] } });
    const [node] = model.graph.node;
    expect(node).toMatchObject({ opType: "Made", domain: "com.microsoft", input: ["x", ""], output: ["y"] });
    expect(node.attribute).toMatchObject([
      { name: "count", i: 0, type: 2 },
      { name: "rate", f: 2, type: 1 },
      { name: "mode", s: Buffer.from("fast"), type: 3 },
    ]);
  });

  test("initializer of every type reaches ONNX Runtime unchanged, from the middle of a buffer too", async () => {
    const { Tensor } = await loadOnnxRuntime();
    const constants = {
      float32: new Float32Array([9, -1.5, 2 ** -140]).subarray(1),
      uint8: Uint8Array.of(0, 255),
      int8: Int8Array.of(-128, 127),
      int32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
      int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
    } as const;
    const graph = new OnnxGraph("constants");
    const index = graph.input("index", "int64", ["n"]);
    for (const [type, data] of Object.entries(constants) as [keyof typeof constants, Int8Array][]) {
      graph.nodeTo([`out.${type}`], "Gather", [graph.initializer(type, data, [2]), index]);
      graph.output(`out.${type}`, type, ["n"]);
    }
    const session = await createSession(graph.encode(), settings);
    const results = await session.run({ index: new Tensor("int64", BigInt64Array.of(1n, 0n), [2]) });
    for (const [type, [first, second]] of Object.entries(constants)) {
      expect([...(results[`out.${type}`].data as Int8Array)]).toEqual([second, first]);
    }
    await session.release();
  });

  test("createSession names what ONNX Runtime refuses in a graph", async () => {
    const graph = new OnnxGraph("wrong");
    graph.nodeTo(["y"], "NoSuchOperator", [graph.input("x", "float32", [1])]);
    graph.output("y", "float32", [1]);
    await expect(createSession(graph.encode(), settings)).rejects.toMatchObject({
      code: "ERR_KERNEL_UNSUPPORTED",
      message: expect.stringContaining("NoSuchOperator"),
    });
  });
});

describe("loadOnnxRuntime", () => {
  const failing = (code: string, message: string) => () => Promise.reject(Object.assign(new Error(message), { code }));

  test("says how to install a package that is missing", async () => {
    await expect(loadOnnxRuntime(failing("ERR_MODULE_NOT_FOUND", "no package"))).rejects.toMatchObject({
      code: "ERR_KERNEL_UNSUPPORTED",
      message: expect.stringContaining("npm install onnxruntime-node"),
    });
  });

  test("keeps the cause of a binary that does not load and names this platform", async () => {
    await expect(loadOnnxRuntime(failing("ERR_DLOPEN_FAILED", "GLIBC_9 not found"))).rejects.toMatchObject({
      code: "ERR_KERNEL_UNSUPPORTED",
      message: expect.stringMatching(`GLIBC_9 not found.*${process.platform}-${process.arch}`),
      cause: expect.objectContaining({ message: "GLIBC_9 not found" }),
    });
  });
});
