import { describe, expect, test } from "vitest";
import { displayWidth, table } from "./table.js";

describe("table", () => {
  test("table pads each column to its widest cell, the head included", () => {
    expect(
      table(
        ["id", "longest"],
        [
          ["a", 1],
          ["bcd", ""],
        ],
      ),
    ).toBe(
      [
        "┌─────┬─────────┐",
        "│ id  │ longest │",
        "├─────┼─────────┤",
        "│ a   │ 1       │",
        "│ bcd │         │",
        "└─────┴─────────┘",
      ].join("\n"),
    );
  });

  test("table gives a row the lines of its highest cell", () => {
    const lines = table(["a", "b"], [["1\n22\n3", "x"]]).split("\n");
    expect(lines.slice(3, -1)).toEqual(["│ 1  │ x │", "│ 22 │   │", "│ 3  │   │"]);
  });

  test("table without rows is a head in a frame", () => {
    expect(table(["a"], [])).toBe("┌───┐\n│ a │\n└───┘");
  });
});

describe("displayWidth", () => {
  test.each([
    ["", 0],
    ["plain ~", 7],
    ["caf\u00e9", 4],
    ["cafe\u0301", 4],
    ["\u65e5\u672c", 4],
    ["\ud55c", 2],
    ["\u{1f600}!", 3],
    ["\u2713 \u2500", 3],
  ])("displayWidth of %j is %i columns", (text, columns) => {
    expect(displayWidth(text)).toBe(columns);
  });
});
