import { fileURLToPath } from "node:url";
import { expectClose } from "@winnow/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readLlama, readSafetensors } from "../scripts/model-files.mjs";
import { createOnnxBaseline, type OnnxBaseline } from "./decoder-baseline.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const model = readLlama(path("../../../models/winnow-16m-32k"));
// Recorded from a forward pass written as plain float64 loops on the same weights.
const recorded = readSafetensors(path("../fixtures/short-64.safetensors"));
const ids = recorded.get("ids")!.data;
const logits = recorded.get("logits")!.data;

/** Float32 through 8 layers; ONNX Runtime was measured at 4e-5 on longer prompts. */
const float32 = { atol: 1e-3, rtol: 0 };

describe("createOnnxBaseline", () => {
  let baseline: OnnxBaseline;
  beforeAll(async () => {
    baseline = await createOnnxBaseline(model, { threads: 2 });
  });
  afterAll(() => baseline.close());

  test("prefill gives the recorded logits and a time", async () => {
    const result = await baseline.prefill(ids);
    expectClose(result.logits, logits, float32);
    expect(result.seconds).toBeGreaterThan(0);
  });

  test("prefill starts a new sequence each time", async () => {
    await baseline.prefill([0, 5, 9]);
    expectClose((await baseline.prefill(ids)).logits, logits, float32);
  });

  test.each([1, 40, 63])("step by step from token %i gives the same logits as one prefill", async (start) => {
    let result = await baseline.prefill(ids.subarray(0, start));
    for (const id of ids.subarray(start)) result = await baseline.step(id);
    expectClose(result.logits, logits, float32);
  });

  test("step after reset begins at position 0, and calls keep their order without being awaited", async () => {
    const calls = [baseline.prefill([0, 5, 9]), baseline.reset(), ...[...ids].map((id) => baseline.step(id))];
    const results = await Promise.all(calls);
    expectClose(results.at(-1)!.logits, logits, float32);
  });

  test.each([[[]], [[0, 8192]], [[0, -1]], [[0, 1.5]], [{ length: 32769 }]])(
    "prefill refuses a prompt that is empty, foreign or too long (case %#)",
    async (prompt) => {
      await expect(baseline.prefill(prompt as number[])).rejects.toMatchObject({ code: "ERR_PROMPT" });
      expectClose((await baseline.prefill(ids)).logits, logits, float32);
    },
  );

  test("int8 stays as close to the recorded logits as 8-bit weights allow, and is not float32", async () => {
    const quantised = await createOnnxBaseline(model, { threads: 2, int8: true });
    const result = await quantised.prefill(ids);
    // llama.cpp's q8_0 weights are 0.28 away on this prompt, ONNX Runtime's int4 2.9.
    expectClose(result.logits, logits, { atol: 0.75, rtol: 0 });
    expect(Math.max(...result.logits.map((value, i) => Math.abs(value - logits[i])))).toBeGreaterThan(1e-2);
    await quantised.close();
  });

  test("a tensor of another size than the configuration says is refused by name", async () => {
    const short = { ...model, tensors: () => new Float32Array(3) };
    await expect(createOnnxBaseline(short, { threads: 1 })).rejects.toMatchObject({
      code: "ERR_OPERATION_ARGUMENT",
      message: expect.stringContaining("model.embed_tokens.weight"),
    });
  });

  test("calls after close are refused", async () => {
    const closing = await createOnnxBaseline(model, { threads: 1 });
    await closing.close();
    await expect(closing.step(0)).rejects.toMatchObject({ code: "ERR_ENGINE_CLOSED" });
  });
});
