import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { readOptionFile } from "./option-file.js";

const folder = mkdtempSync(join(tmpdir(), "winnow-"));
afterAll(() => rmSync(folder, { recursive: true }));

const file = { option: "table", expected: "a table", maxBytes: 3 };

it("readOptionFile gives the text of a file of at most maxBytes", () => {
  const path = join(folder, "fits");
  writeFileSync(path, "abc");
  expect(readOptionFile(path, file)).toBe("abc");
});

it.each([
  ["a larger file", join(folder, "large"), "it has 4 bytes, more than 3"],
  ["a folder", folder, "it is not a file"],
  ["what is not there", join(folder, "absent"), "no such file"],
])("readOptionFile refuses %s and says what to give", (_, path, reason) => {
  writeFileSync(join(folder, "large"), "abcd");
  const message = expect.stringMatching(
    new RegExp(`Cannot read table .*${reason}.*Give the path of a table, or leave`),
  );
  expect(() => readOptionFile(path, file)).toThrow(expect.objectContaining({ code: "ERR_CONFIG_FILE", message }));
});
