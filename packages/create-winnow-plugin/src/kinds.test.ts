import { pluginKinds } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { kindNames, templateKind, templateKinds } from "./kinds.js";

describe("templateKind", () => {
  it("there is a template of every kind in the contract", () => {
    expect(templateKinds.map(({ contractKind }) => contractKind).sort()).toEqual([...pluginKinds].sort());
  });

  it.each(kindNames)("%s is found by its name", (name) => {
    expect(templateKind(name).name).toBe(name);
  });

  it.each([
    ["maskr", "masker"],
    ["kv-evcit", "kv-evict"],
    ["kernels", "kernel"],
    ["evict-scorer", "kv-evict"],
    ["element-scorer", "kv-compress"],
    ["compress", "kv-compress"],
    ["kv-pruner", "kv-select"],
  ])("%s is refused; %s is meant", (given, meant) => {
    expect(() => templateKind(given)).toThrow(`Did you mean "${meant}"?`);
  });
});
