import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CsvLog, csvLine, parseCsv } from "./csv.js";

const newFile = () => join(mkdtempSync(join(tmpdir(), "winnow-csv-")), "log.csv");

describe("parseCsv", () => {
  it("parseCsv reads what csvLine wrote, whatever the text", () => {
    const values = ["", "plain", 'a "quoted", one', "two\nlines", " spaces ", "-1.5e-7"];
    expect(parseCsv(csvLine(values) + csvLine(["1", ""]))).toEqual([values, ["1", ""]]);
  });

  it("csvLine writes null as an empty field", () => {
    expect(csvLine([null, 0])).toBe(",0\n");
  });

  it("parseCsv takes both kinds of line breaks and ignores empty lines", () => {
    expect(parseCsv("a,b\r\n1,2\r\n\n3,4")).toEqual([
      ["a", "b"],
      ["1", "2"],
      ["3", "4"],
    ]);
  });

  it("parseCsv of an empty text has no lines", () => {
    expect(parseCsv("")).toEqual([]);
  });
});

describe("CsvLog", () => {
  it("a log that is opened again holds the rows of before and takes more", () => {
    const file = newFile();
    CsvLog.open(file, ["a", "b"], false).add([1, "x,y"]);
    const log = CsvLog.open(file, ["a", "b"], true);
    log.add([2, null]);
    expect(log.rows()).toEqual([
      { a: "1", b: "x,y" },
      { a: "2", b: "" },
    ]);
  });

  it("a row that an interruption cut off is left out, and the next one stands on its own line", () => {
    const file = newFile();
    writeFileSync(file, "a,b\n1,2\n3");
    const log = CsvLog.open(file, ["a", "b"], true);
    log.add([5, 6]);
    expect(log.rows().map(({ a }) => a)).toEqual(["1", "5"]);
  });

  it("a file that is there is kept as it is unless it is resumed", () => {
    const file = newFile();
    writeFileSync(file, "precious");
    expect(() => CsvLog.open(file, ["a"], false)).toThrow(expect.objectContaining({ code: "ERR_OUTPUT_FILE" }));
    expect(readFileSync(file, "utf8")).toBe("precious");
  });

  it("a file with other columns is refused", () => {
    const file = newFile();
    writeFileSync(file, "a,c\n");
    expect(() => CsvLog.open(file, ["a", "b"], true)).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
  });

  it("a folder that is not there is an error of the output file", () => {
    const file = join(newFile(), "below", "log.csv");
    expect(() => CsvLog.open(file, ["a"], false)).toThrow(expect.objectContaining({ code: "ERR_OUTPUT_FILE" }));
  });
});
