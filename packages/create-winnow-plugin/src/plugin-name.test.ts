import { reservedPluginIds } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { parsePluginName } from "./plugin-name.js";

describe("parsePluginName", () => {
  it.each([
    ["my-mask", "my-mask", "winnow-plugin-my-mask"],
    ["winnow-plugin-my-mask", "my-mask", "winnow-plugin-my-mask"],
    ["@acme/my-mask", "my-mask", "@acme/winnow-plugin-my-mask"],
    ["@acme/winnow-plugin-x2", "x2", "@acme/winnow-plugin-x2"],
  ])("%s has the id %s and the package name %s", (given, id, packageName) => {
    expect(parsePluginName(given)).toEqual({ id, packageName });
  });

  it.each([
    "",
    "My-mask",
    "my_mask",
    "my mask",
    "-mask",
    "mask-",
    "a--b",
    "2-masks",
    "a/b",
    "../a",
    "@acme/",
    "@/a",
    "@Acme/a",
    "@acme/b/c",
    "winnow-plugin-",
    "a\nb",
    "masque-é",
    "a".repeat(300),
  ])("%j cannot be a plugin's name", (given) => {
    expect(() => parsePluginName(given)).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
  });

  it.each(reservedPluginIds)("%s is taken: it has a meaning of its own in configurations", (id) => {
    expect(() => parsePluginName(id)).toThrow("has a meaning of its own");
  });
});
