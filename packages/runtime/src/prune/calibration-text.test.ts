import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tempFolder } from "../testing/temp-packages.js";
import { documentsOf, joinedText, readCalibrationText } from "./calibration-text.js";

describe("readCalibrationText", () => {
  test("takes the built-in book where no path is given", () => {
    const text = readCalibrationText();
    expect(text.name).toBe("calibration.txt");
    expect(joinedText(text).length).toBeGreaterThan(300_000);
  });

  test("reads the .txt and .md files of a folder in order of their names, each a document", () => {
    const folder = tempFolder({ "b.md": "second", "a.txt": "first\nline", "c.bin": "no", "B.TXT": "zeroth" });
    const text = readCalibrationText(folder);
    expect(documentsOf(text)).toEqual(["zeroth", "first\nline", "second"]);
    expect(joinedText(text)).toBe("zeroth\n\nfirst\nline\n\nsecond");
  });

  test("takes the lines of a file as documents, empty ones left out", () => {
    const folder = tempFolder({ "lines.txt": "one\r\n\n  \ntwo\n" });
    expect(documentsOf(readCalibrationText(join(folder, "lines.txt")))).toEqual(["one", "two"]);
  });

  test("hashes the content: the same for the same text, another where files are divided otherwise", () => {
    const hashOf = (files: Record<string, string>) => readCalibrationText(tempFolder(files)).sha256;
    expect(hashOf({ "a.txt": "x", "b.txt": "y" })).toBe(hashOf({ "a.txt": "x", "b.txt": "y" }));
    expect(hashOf({ "a.txt": "x", "b.txt": "y" })).not.toBe(hashOf({ "a.txt": "xy", "b.txt": "" }));
  });

  const bad = tempFolder({ "empty.txt": " \n", "none/readme.bin": "x" });
  writeFileSync(join(bad, "latin.txt"), Uint8Array.of(0x66, 0xe9, 0x21));
  test.each([
    ["a file that is not there", "missing.txt", /no such file/],
    ["a file without text", "empty.txt", /holds no text/],
    ["a folder without text files", "none", /no \.txt or \.md file/],
    ["a file that is not UTF-8", "latin.txt", /not valid/],
  ])("refuses %s", (_, name, message) => {
    const read = () => readCalibrationText(join(bad, name));
    expect(read).toThrow(expect.objectContaining({ code: "ERR_CALIBRATION", message: expect.stringMatching(message) }));
  });
});
