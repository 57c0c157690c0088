import { WinnowError } from "@winnow/core";
import { expect, test } from "vitest";
import { resolveGenerationOptions } from "./generation-options.js";

test("resolveGenerationOptions fills in greedy defaults", () => {
  const options = resolveGenerationOptions();
  expect(options.sampling.temperature).toBe(0);
  expect(options.stop).toEqual({ strings: [], ids: [], endOfSequence: true });
  expect(options.dense).toBe(false);
});

test.each([
  [{ maxNewTokens: 0 }, "maxNewTokens got 0"],
  [{ maxNewTokens: 1.5 }, "maxNewTokens got 1.5"],
  [{ sampling: { temperature: -1 } }, "sampling.temperature got -1"],
  [{ sampling: { topP: 0 } }, "sampling.topP got 0"],
  [{ sampling: { temperature: Number.NaN } }, "sampling.temperature got null"],
  [{ stop: { strings: [""] } }, 'stop.strings.0 got ""'],
  [{ maxTokens: 3 }, "unknown option maxTokens"],
])("resolveGenerationOptions refuses %j, naming option and value", (input, message) => {
  let error: unknown;
  try {
    resolveGenerationOptions(input as never);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(WinnowError);
  expect((error as WinnowError).code).toBe("ERR_GENERATION_OPTION");
  expect((error as WinnowError).message).toContain(message);
});
