import { describe, expect, it } from "vitest";
import { expandSelection, lastSelections, selectionProblems, selectionSchema } from "./number-selection.js";

describe("expandSelection", () => {
  it("expandSelection sorts, merges and names the part that does not fit", () => {
    expect(expandSelection(2, 3)).toEqual({ numbers: [2] });
    expect(expandSelection(["2-3", 0, 2], 4)).toEqual({ numbers: [0, 2, 3] });
    expect(expandSelection(["0-1", "2-4"], 4)).toEqual({ numbers: [], outside: "2-4" });
    expect(expandSelection("3-1", 4)).toEqual({ numbers: [], outside: "3-1" });
  });
});

describe("selectionSchema", () => {
  const accepts = (value: unknown) => selectionSchema("Layers").safeParse(value).success;

  it.each([0, "3", "0-3", ["1", 2, "4-5"]])("selectionSchema accepts %j", (value) => {
    expect(accepts(value)).toBe(true);
  });

  it.each([-1, 1.5, "", "a", "3-1", [], null, [[1]]])("selectionSchema refuses %j", (value) => {
    expect(accepts(value)).toBe(false);
  });
});

describe("lastSelections", () => {
  it("lastSelections gives each number the last selection that holds it, -1 where none does", () => {
    expect(lastSelections(["0-3", 2, ["3", 5]], 6)).toEqual([0, 0, 1, 2, -1, 2]);
    expect(lastSelections([], 2)).toEqual([-1, -1]);
  });
});

describe("selectionProblems", () => {
  it("selectionProblems names the place, the limit and the part that leaves it", () => {
    const pathOf = (index: number) => ["layers", index, "layers"];
    expect(selectionProblems(["0-1", [0, "2-4"], 3], 4, "layers", pathOf)).toEqual([
      { path: ["layers", 1, "layers"], message: 'must select layers in 0..3, first before last, got "2-4"' },
    ]);
    expect(selectionProblems(["0-3"], 4, "layers", pathOf)).toEqual([]);
  });
});
