import { describe, expect, it } from "vitest";
import { hasNestedRepeat } from "./nested-repeat.js";

describe("hasNestedRepeat", () => {
  it.each([
    ["GPT-2", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"],
    [
      "Llama 3",
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    ],
    ["o200k", "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}]*[\\p{Ll}\\p{Lm}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}"],
    ["a group repeated without a repeat inside", "(ab|cd)+"],
    ["a repeat in an optional group", "(a+)?b{2,5}"],
    ["quantifier signs in classes and escapes", "([+*\\]]|\\+|\\*)+"],
  ])("hasNestedRepeat lets %s pass", (_name, pattern) => {
    expect(hasNestedRepeat(pattern)).toBe(false);
  });

  it.each(["(a+)+", "(a*)*b", "(?:a+|b)+$", "((a+)b?)*", "(a{2,}){3,}", "x(\\w+\\s?)*$"])(
    "hasNestedRepeat finds %s",
    (pattern) => {
      expect(hasNestedRepeat(pattern)).toBe(true);
    },
  );
});
