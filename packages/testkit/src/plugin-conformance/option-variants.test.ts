import { defineOptions, option, sparsityOptions } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { Maker } from "./make.js";
import { optionVariants, valuesOf } from "./option-variants.js";
import { sampleWindow } from "./sample-plugins.js";

describe("valuesOf", () => {
  it.each([
    ["an enum", { type: "string", enum: ["a", "b"] }, ["a", "b"]],
    ["a boolean", { type: "boolean" }, [false, true]],
    ["a range of integers", { type: "integer", minimum: 1, maximum: 8 }, [1, 8]],
    ["integers between two ends", { type: "integer", exclusiveMinimum: 0, exclusiveMaximum: 9 }, [1, 8]],
    ["integers without a declared end", { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER }, [1]],
    ["numbers up to an end that they may have", { type: "number", exclusiveMinimum: 0, maximum: 1 }, [1]],
    ["a choice", { anyOf: [{ const: "auto" }, { type: "integer", minimum: 1, maximum: 4 }] }, ["auto", 1, 4]],
    ["text", { type: "string" }, []],
  ])("valuesOf gives the values of %s", (_, schema, values) => {
    expect(valuesOf(schema)).toEqual(values);
  });
});

describe("optionVariants", () => {
  const share = sparsityOptions.sparsity.unwrap();
  const info = { description: "A share." };
  const schema = defineOptions({
    low: option(share.default(0.5), info),
    high: option(share.default(0.75), info),
  });
  const variants = (options: typeof schema) =>
    optionVariants(new Maker({ ...sampleWindow, options }, { options: { low: 0 } })).map(({ options }) => options);

  it("optionVariants changes one option at a time from those that are tried", () => {
    expect(variants(schema)).toEqual([
      { low: 1, high: 0.75 },
      { low: 0, high: 0 },
      { low: 0, high: 1 },
    ]);
  });

  it("optionVariants leaves out what does not fit the other options", () => {
    expect(variants(schema.refine(({ low, high }) => low < high))).toEqual([{ low: 0, high: 1 }]);
  });
});
