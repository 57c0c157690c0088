import { headsFirst } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { createReference } from "./index.js";

const reference = createReference();
const floats = (...values: number[]) => Float32Array.from(values);

function refused(call: () => void, message: RegExp): void {
  expect(call).toThrow(
    expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT", message: expect.stringMatching(message) }),
  );
}

describe("scores", () => {
  const q = headsFirst(floats(1, 2, 3, 4), 1, 2, 2);
  const k = headsFirst(floats(1, 0, 0, 1, 1, 1), 1, 3, 2);

  it("scale * q . k for every query and key", () => {
    const out = new Float32Array(6);
    reference.scores({ q, k, head: 0, kvHead: 0, scale: 2 }, out);
    expect([...out]).toEqual([2, 4, 6, 6, 8, 14]);
  });

  it("causalOffset = 1: row r sees keys up to 1 + r", () => {
    const out = new Float32Array(6);
    reference.scores({ q, k, head: 0, kvHead: 0, scale: 1, causalOffset: 1 }, out);
    expect([...out]).toEqual([1, 2, Number.NEGATIVE_INFINITY, 3, 4, 7]);
  });

  it("a head that is not there is refused", () => {
    refused(
      () => reference.scores({ q, k, head: 1, kvHead: 0, scale: 1 }, new Float32Array(6)),
      /head must be in 0..0/,
    );
  });
});

describe("softmaxRows", () => {
  it("rows of equal scores, of a masked entry, and of nothing", () => {
    const none = Number.NEGATIVE_INFINITY;
    const x = floats(800, 800, 5, none, none, none);
    reference.softmaxRows(x, 3, 2);
    expect([...x]).toEqual([0.5, 0.5, 1, 0, 0, 0]);
  });
});

describe("softmaxRows of impossible scores", () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY])("a row with %s is refused", (value) => {
    expect(() => reference.softmaxRows(floats(1, value), 1, 2)).toThrow(
      expect.objectContaining({ code: "ERR_NON_FINITE", message: expect.stringContaining("row 0") }),
    );
  });
});

describe("columnSums and diagonalSums", () => {
  const attention = floats(0.1, 0.2, 0.1, 0.1, 0.5, 0, 0.1, 0.1, 0.3, 0.1, 0.1, 0.3);

  it("vertical scores of the worked example, L = 2, n = 6", () => {
    const out = new Float32Array(6);
    reference.columnSums(attention, 2, 6, out);
    [0.2, 0.3, 0.4, 0.2, 0.6, 0.3].forEach((value, j) => {
      expect(out[j]).toBeCloseTo(value, 6);
    });
  });

  it("slash scores of the worked example, by offset", () => {
    const out = new Float32Array(6);
    reference.diagonalSums(attention, 2, 6, out);
    [0.8, 0.2, 0.2, 0.5, 0.2, 0.1].forEach((value, o) => {
      expect(out[o]).toBeCloseTo(value, 6);
    });
  });
});

describe("poolMean", () => {
  it("the divisor is the block size, also in the last block and beyond", () => {
    const out = new Float32Array(3).fill(9);
    reference.poolMean(headsFirst(floats(0, 0, 0, 2, 4, 6), 2, 3, 1), 1, 2, out);
    expect([...out]).toEqual([3, 3, 0]);
  });
});

describe("outerScores", () => {
  it("scale * x y^T", () => {
    const out = new Float32Array(6);
    reference.outerScores(floats(1, 2, 3, 4), floats(1, 0, 0, 1, 1, 1), 2, 0.5, out);
    expect([...out]).toEqual([0.5, 1, 1.5, 1.5, 2, 3.5]);
  });
});

describe("topK", () => {
  it("ascending indices of the largest values", () => {
    expect([...reference.topK(floats(3, 9, 1, 7), 2)]).toEqual([1, 3]);
  });

  it("ties go to the lower index; infinities are values", () => {
    expect([...reference.topK(floats(1, 5, 5, 5), 2)]).toEqual([1, 2]);
    expect([...reference.topK(floats(Number.NEGATIVE_INFINITY, 1, Number.POSITIVE_INFINITY), 2)]).toEqual([1, 2]);
    expect([...reference.topK(floats(0, -0, 0), 2)]).toEqual([0, 1]);
  });

  it("indices are relative to start", () => {
    expect([...reference.topK(floats(9, 9, 1, 4, 2), 1, 2, 5)]).toEqual([1]);
  });

  it("k = 0 and k = all", () => {
    expect([...reference.topK(floats(1, 2), 0)]).toEqual([]);
    expect([...reference.topK(floats(1, 2), 2)]).toEqual([0, 1]);
  });

  it("k beyond the values, NaN, and a range outside are refused", () => {
    refused(() => reference.topK(floats(1), 2), /k must be at most 1/);
    refused(() => reference.topK(floats(1, Number.NaN), 1), /values\[1\] must be a number, got NaN/);
    refused(() => reference.topK(floats(1), 1, 0, 2), /end must be in 0..1/);
  });

  it("topKRows does each row", () => {
    expect([...reference.topKRows(floats(1, 2, 3, 6, 5, 4), 2, 3, 2)]).toEqual([1, 2, 0, 1]);
  });
});

describe("prefixMass", () => {
  it("the fewest values that reach the mass: 5 of 10 is one half, 0.6 needs two", () => {
    expect([...reference.prefixMass(floats(1, 3, 5, 1), 0.5)]).toEqual([2]);
    expect([...reference.prefixMass(floats(1, 3, 5, 1), 0.6)]).toEqual([1, 2]);
  });

  it("ties go to the lower index; mass 1 leaves zeros out; mass 0 takes nothing", () => {
    expect([...reference.prefixMass(floats(2, 2, 2, 2), 0.5)]).toEqual([0, 1]);
    expect([...reference.prefixMass(floats(0, 1, 0, 1), 1)]).toEqual([1, 3]);
    expect([...reference.prefixMass(floats(1, 1), 0)]).toEqual([]);
  });

  it("negative values and masses above 1 are refused", () => {
    refused(() => reference.prefixMass(floats(1, -1), 0.5), /values must be finite and not negative/);
    refused(() => reference.prefixMass(floats(1), 1.5), /mass must be in 0..1/);
  });
});
