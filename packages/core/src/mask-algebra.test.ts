import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { bandMask, denseMask, MAX_BANDS, type Mask, QUERY_BLOCK, type RangesMask } from "./mask.js";
import {
  intersectMasks,
  keeps,
  lowerMask,
  maskStatistics,
  unionMasks,
  validateMask,
  verticalSlashBlocks,
} from "./mask-algebra.js";

type Pairs = (i: number, j: number) => boolean;

/** Park-Miller generator: enough to vary shapes, and the same everywhere. */
function seededRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

function picture(pairs: Pairs, n: number): string {
  const rows = Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => (pairs(i, j) ? "1" : "0")).join(""),
  );
  return rows.join(" / ");
}

function pairsOf(mask: Mask, n: number): Pairs {
  return (i, j) => keeps(mask, i, j, n);
}

function expectSamePairs(actual: Pairs, expected: Pairs, n: number, what: string): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      if (actual(i, j) !== expected(i, j)) {
        expect.fail(`${what}: pair (${i}, ${j}) of n = ${n} is ${actual(i, j)}, expected ${expected(i, j)}`);
      }
    }
  }
}

function randomSubset(random: (below: number) => number, n: number, percent: number): number[] {
  return Array.from({ length: n }, (_, x) => x).filter(() => random(100) < percent);
}

function randomBand(random: (below: number) => number, n: number): Mask {
  return bandMask({ sinkTokens: random(n + 3), recentTokens: 1 + random(n + 3), denseFromRow: random(2 * n + 1) });
}

function randomBlocks(random: (below: number) => number, n: number): Mask {
  const blockSize = [16, 17, 32, 48, 50, 64, 96, 100, 128][random(9)];
  const blocks = Math.ceil(n / blockSize);
  const bits = new Uint8Array(blocks * blocks);
  for (let a = 0; a < blocks; a++) {
    for (let b = 0; b <= a; b++) bits[a * blocks + b] = random(2);
    bits[a * blocks + random(a + 1)] = 1;
  }
  return { form: "blocks", blockSize, bits };
}

function randomVerticalSlash(random: (below: number) => number, n: number): Mask {
  const columns = Int32Array.from(randomSubset(random, n, 1 + random(30)));
  const slashes = Int32Array.from(randomSubset(random, n, 1 + random(10))).reverse();
  return { form: "vertical-slash", columns, slashes, exact: false };
}

const randomMasks = { band: randomBand, blocks: randomBlocks, "vertical-slash": randomVerticalSlash };

/** A few lengths around each multiple of the query block, and small ones. */
const lengths = [1, 2, 3, 16, 31, 63, 64, 65, 127, 128, 129, 191, 200];

describe("keeps", () => {
  it("band with sinkTokens = 2, recentTokens = 3 is the picture of the A-shape", () => {
    const mask = bandMask({ sinkTokens: 2, recentTokens: 3 });
    expect(picture(pairsOf(mask, 7), 7)).toBe("1000000 / 1100000 / 1110000 / 1111000 / 1111100 / 1101110 / 1100111");
  });

  it("band with denseFromRow = 6 is the picture of the tri-shape", () => {
    const mask = bandMask({ sinkTokens: 1, recentTokens: 2, denseFromRow: 6 });
    expect(picture(pairsOf(mask, 8), 8)).toBe(
      "10000000 / 11000000 / 11100000 / 10110000 / 10011000 / 10001100 / 11111110 / 11111111",
    );
  });

  it("exact vertical-slash keeps the columns, the slashes and the diagonal", () => {
    const mask: Mask = { form: "vertical-slash", columns: Int32Array.of(1), slashes: Int32Array.of(3), exact: true };
    expect(picture(pairsOf(mask, 5), 5)).toBe("10000 / 01000 / 01100 / 11010 / 01001");
  });

  it("vertical-slash keeps whole key blocks: slash 0 of row 64 keeps keys 64 and up, column 5 stays single", () => {
    const mask: Mask = { form: "vertical-slash", columns: Int32Array.of(5), slashes: Int32Array.of(0), exact: false };
    const row = Array.from({ length: 130 }, (_, j) => j).filter((j) => keeps(mask, 129, j, 130));
    expect(row).toEqual([5, 128, 129]);
  });
});

describe("verticalSlashBlocks", () => {
  const listsOf = (starts: Int32Array, values: Int32Array) =>
    Array.from({ length: starts.length - 1 }, (_, a) => [...values.subarray(starts[a], starts[a + 1])]);

  it("B = 4, n = 16, V = {0, 5}, S = {0, 6} gives the worked example", () => {
    const blocks = verticalSlashBlocks(Int32Array.of(0, 5), Int32Array.of(6, 0), 16, 4);
    expect(listsOf(blocks.blockStarts, blocks.blockOffset)).toEqual([[0], [0, 4], [2, 8], [6, 12]]);
    expect(listsOf(blocks.columnStarts, blocks.columnIndex)).toEqual([[], [], [0], [0, 5]]);
  });

  it("offset 0 is taken as present where the slashes lack it", () => {
    const columns = Int32Array.of(1, 70);
    expect(verticalSlashBlocks(columns, Int32Array.of(100), 200)).toEqual(
      verticalSlashBlocks(columns, Int32Array.of(100, 0), 200),
    );
  });

  it("no columns and no slashes leave the diagonal blocks", () => {
    const blocks = verticalSlashBlocks(new Int32Array(0), new Int32Array(0), 130);
    expect(listsOf(blocks.blockStarts, blocks.blockOffset)).toEqual([[0], [64], [128]]);
  });

  it("24 recorded sets give the blocks and columns of the reference's converter", () => {
    const { tensor } = readSafetensors(new URL("../fixtures/minference.conversion.safetensors", import.meta.url));
    const n = tensor("in.n");
    const perCase = (name: string, index: number) => tensor(name).subarray(index * 320, (index + 1) * 320);
    expect(n.length).toBe(24);
    for (let index = 0; index < n.length; index++) {
      const columns = perCase("in.columns", index).subarray(0, tensor("in.columns_size")[index]);
      const slashes = perCase("in.slashes", index).subarray(0, tensor("in.slashes_size")[index]);
      const blocks = verticalSlashBlocks(columns, slashes, n[index]);
      const expected = (counts: string, values: string, width: number) =>
        Array.from({ length: Math.ceil(n[index] / 64) }, (_, a) => {
          const place = index * 10 + a;
          return [...tensor(values).subarray(place * width, place * width + tensor(counts)[place])];
        });
      expect(listsOf(blocks.blockStarts, blocks.blockOffset)).toEqual(
        expected("out.block_count", "out.block_offset", 10),
      );
      expect(listsOf(blocks.columnStarts, blocks.columnIndex)).toEqual(
        expected("out.column_count", "out.column_index", 46),
      );
    }
  });
});

describe("lowerMask", () => {
  it("dense is one range per query block, up to its last row", () => {
    const lowered = lowerMask(denseMask, 130);
    expect([...lowered.ranges]).toEqual([0, 64, 0, 128, 0, 130]);
    expect([...lowered.rangeOffsets]).toEqual([0, 1, 2, 3]);
    expect(lowered.bands).toEqual([]);
  });

  it("band tests only the keys that some rows keep and others do not", () => {
    const lowered = lowerMask(bandMask({ sinkTokens: 4, recentTokens: 70 }), 256);
    const last = lowered.rangeOffsets[3];
    expect([...lowered.ranges.subarray(2 * last)]).toEqual([0, 4, 123, 186, 186, 256]);
    expect([...lowered.rangeFlags.subarray(last)]).toEqual([0, 1, 0]);
  });

  it("band joins sinks and window where they touch", () => {
    const lowered = lowerMask(bandMask({ sinkTokens: 64, recentTokens: 128 }), 192);
    expect([...lowered.ranges]).toEqual([0, 64, 0, 128, 0, 192]);
  });

  it("vertical-slash of slashes 64 and 0 is one range of two blocks", () => {
    const mask: Mask = {
      form: "vertical-slash",
      columns: Int32Array.of(3),
      slashes: Int32Array.of(64, 0),
      exact: false,
    };
    const lowered = lowerMask(mask, 200);
    expect([...lowered.ranges]).toEqual([0, 64, 0, 128, 64, 192, 128, 200]);
    expect([...lowered.columns]).toEqual([3, 3]);
  });

  it("exact vertical-slash is refused", () => {
    const mask: Mask = { form: "vertical-slash", columns: Int32Array.of(0), slashes: Int32Array.of(0), exact: true };
    expect(() => lowerMask(mask, 5)).toThrow(expect.objectContaining({ code: "ERR_KERNEL_UNSUPPORTED" }));
  });

  it("band keeps exactly its pairs, for every n up to 200", () => {
    const random = seededRandom(11);
    for (let n = 1; n <= 200; n++) {
      const mask = randomBand(random, n);
      const lowered = lowerMask(mask, n);
      validateMask(lowered, n);
      expectSamePairs(pairsOf(lowered, n), pairsOf(mask, n), n, JSON.stringify(mask));
    }
  });

  it.each(Object.entries(randomMasks))(
    "%s keeps exactly its pairs, at lengths around the query block",
    (_, randomMask) => {
      const random = seededRandom(5);
      for (const n of lengths) {
        for (let trial = 0; trial < 4; trial++) {
          const mask = randomMask(random, n);
          validateMask(mask, n);
          const lowered = lowerMask(mask, n);
          validateMask(lowered, n);
          expect(QUERY_BLOCK % lowered.blockSize).toBe(0);
          expectSamePairs(pairsOf(lowered, n), pairsOf(mask, n), n, mask.form);
        }
      }
    },
  );

  it("vertical-slash covers every wanted pair", () => {
    const random = seededRandom(3);
    for (const n of lengths) {
      const mask = randomVerticalSlash(random, n);
      const wanted = pairsOf({ ...mask, exact: true } as Mask, n);
      const computed = pairsOf(lowerMask(mask, n), n);
      expectSamePairs((i, j) => wanted(i, j) && computed(i, j), wanted, n, "cover");
    }
  });

  it("ranges with query blocks of 128 rows are split at 64", () => {
    const n = 200;
    const wide: RangesMask = {
      form: "ranges",
      blockSize: 128,
      rangeOffsets: Int32Array.of(0, 1, 3),
      ranges: Int32Array.of(0, 128, 10, 60, 100, 200),
      rangeFlags: Uint8Array.of(0, 0, 1),
      columnOffsets: Int32Array.of(0, 0, 1),
      columns: Int32Array.of(70),
      bands: [{ sinkTokens: 0, recentTokens: 20, denseFromRow: n }],
    };
    validateMask(wide, n);
    const lowered = lowerMask(wide, n);
    expect(lowered.blockSize).toBe(64);
    expectSamePairs(pairsOf(lowered, n), pairsOf(wide, n), n, "split");
  });
});

describe("intersectMasks", () => {
  const forms = Object.entries(randomMasks);
  const couples = forms.flatMap(([a, makeA]) => forms.map(([b, makeB]) => [a, b, makeA, makeB] as const));

  it.each(couples)("%s with %s keeps the pairs of both, and the diagonal", (_a, _b, makeA, makeB) => {
    const random = seededRandom(17);
    for (const n of lengths) {
      for (let trial = 0; trial < 3; trial++) {
        const a = makeA(random, n);
        const b = makeB(random, n);
        const both = intersectMasks(a, b, n);
        validateMask(both, n);
        const expected: Pairs = (i, j) => i === j || (keeps(a, i, j, n) && keeps(b, i, j, n));
        expectSamePairs(pairsOf(both, n), expected, n, JSON.stringify([a, b]));
      }
    }
  });

  it("three sliding windows one after another stay exact", () => {
    const n = 150;
    const [a, b, c] = [
      bandMask({ sinkTokens: 9, recentTokens: 30 }),
      bandMask({ sinkTokens: 3, recentTokens: 50, denseFromRow: 100 }),
      bandMask({ sinkTokens: 20, recentTokens: 10, denseFromRow: 120 }),
    ];
    const all = intersectMasks(intersectMasks(a, b, n), c, n);
    expectSamePairs(pairsOf(all, n), (i, j) => [a, b, c].every((mask) => keeps(mask, i, j, n)), n, "three bands");
  });

  it("a mask without the diagonal gets it back, and nothing else", () => {
    const n = 100;
    const firstBlock: Mask = { form: "blocks", blockSize: 64, bits: Uint8Array.of(1, 0, 1, 0) };
    const both = intersectMasks(firstBlock, bandMask({ sinkTokens: 0, recentTokens: 1 }), n);
    expectSamePairs(pairsOf(both, n), (i, j) => i === j, n, "diagonal");
  });

  it("more than eight different windows are refused", () => {
    let mask: Mask = denseMask;
    const window = (recentTokens: number) => bandMask({ sinkTokens: 0, recentTokens });
    for (let t = 1; t <= MAX_BANDS; t++) mask = intersectMasks(mask, window(t), 100);
    expect(() => intersectMasks(mask, window(50), 100)).toThrow(
      expect.objectContaining({ code: "ERR_KERNEL_UNSUPPORTED" }),
    );
  });
});

describe("unionMasks", () => {
  const random = seededRandom(29);

  it.each([
    ["blocks", "blocks", randomBlocks, randomBlocks],
    ["blocks", "vertical-slash", randomBlocks, randomVerticalSlash],
    ["band", "blocks", randomBand, randomBlocks],
    ["vertical-slash", "band", randomVerticalSlash, randomBand],
  ] as const)("%s with %s keeps exactly the pairs of either", (_a, _b, makeA, makeB) => {
    for (const n of lengths) {
      const a = makeA(random, n);
      const b = makeB(random, n);
      const either = unionMasks(a, b, n);
      validateMask(either, n);
      expectSamePairs(pairsOf(either, n), (i, j) => keeps(a, i, j, n) || keeps(b, i, j, n), n, JSON.stringify([a, b]));
    }
  });

  it("two bands round up only where the row tests of both overlap", () => {
    for (const n of lengths) {
      const a = randomBand(random, n);
      const b = randomBand(random, n);
      const [loweredA, loweredB] = [lowerMask(a, n), lowerMask(b, n)];
      const either = unionMasks(a, b, n);
      validateMask(either, n);
      const wanted: Pairs = (i, j) => keeps(a, i, j, n) || keeps(b, i, j, n);
      const expected: Pairs = (i, j) =>
        wanted(i, j) || (j <= i && isTested(loweredA, i, j) && isTested(loweredB, i, j));
      expectSamePairs((i, j) => keeps(either, i, j, n) || expected(i, j), expected, n, "upper bound");
      expectSamePairs((i, j) => keeps(either, i, j, n) && wanted(i, j), wanted, n, "lower bound");
    }
  });

  it("a mask with itself is the same pairs", () => {
    const mask = bandMask({ sinkTokens: 5, recentTokens: 33, denseFromRow: 140 });
    expectSamePairs(pairsOf(unionMasks(mask, mask, 170), 170), pairsOf(mask, 170), 170, "idempotent");
  });

  function isTested(mask: RangesMask, i: number, j: number): boolean {
    const a = Math.floor(i / mask.blockSize);
    for (let r = mask.rangeOffsets[a]; r < mask.rangeOffsets[a + 1]; r++) {
      if (j >= mask.ranges[2 * r] && j < mask.ranges[2 * r + 1]) return mask.rangeFlags[r] !== 0;
    }
    return false;
  }
});

describe("maskStatistics", () => {
  function count(pairs: Pairs, n: number): number {
    let kept = 0;
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) kept += Number(pairs(i, j));
    return kept;
  }

  it("the A-shape of n = 7 keeps 25 of 28 pairs", () => {
    const mask = bandMask({ sinkTokens: 2, recentTokens: 3 });
    expect(maskStatistics(mask, 7)).toEqual({ keptPairs: 25, causalPairs: 28, density: 25 / 28 });
  });

  it("dense has density 1 at a length whose pairs exceed 32 bits", () => {
    expect(maskStatistics(denseMask, 131072)).toEqual({ keptPairs: 8590000128, causalPairs: 8590000128, density: 1 });
  });

  it.each(Object.entries(randomMasks))("%s counts the pairs that it keeps", (_, randomMask) => {
    const random = seededRandom(41);
    for (const n of lengths) {
      const mask = randomMask(random, n);
      expect(maskStatistics(mask, n).keptPairs).toBe(count(pairsOf(mask, n), n));
    }
  });

  it("exact vertical-slash counts each wanted pair once", () => {
    const random = seededRandom(43);
    for (const n of lengths) {
      const mask = { ...randomVerticalSlash(random, n), exact: true } as Mask;
      expect(maskStatistics(mask, n).keptPairs).toBe(count(pairsOf(mask, n), n));
    }
  });

  it("ranges with several row tests count the pairs that pass all", () => {
    const random = seededRandom(47);
    for (const n of lengths) {
      const windows = intersectMasks(randomBand(random, n), randomBand(random, n), n);
      const mask = intersectMasks(windows, randomVerticalSlash(random, n), n);
      expect(maskStatistics(mask, n).keptPairs).toBe(count(pairsOf(mask, n), n));
    }
  });
});

describe("validateMask", () => {
  const ranges = (changes: Partial<RangesMask>): Mask => ({
    form: "ranges",
    blockSize: 64,
    rangeOffsets: Int32Array.of(0, 1, 3),
    ranges: Int32Array.of(0, 64, 0, 10, 64, 100),
    rangeFlags: new Uint8Array(3),
    columnOffsets: Int32Array.of(0, 0, 1),
    columns: Int32Array.of(20),
    bands: [],
    ...changes,
  });
  const verticalSlash = (columns: number[], slashes: number[]): Mask => ({
    form: "vertical-slash",
    columns: Int32Array.from(columns),
    slashes: Int32Array.from(slashes),
    exact: false,
  });
  const blocks = (...bits: number[]): Mask => ({ form: "blocks", blockSize: 64, bits: Uint8Array.from(bits) });
  const cast = (value: unknown) => value as Mask;

  it("a well-formed ranges mask passes", () => {
    expect(() => validateMask(ranges({}), 100)).not.toThrow();
  });

  it.each<[string, Mask, RegExp]>([
    ["nothing", cast(undefined), /must be an object, got undefined/],
    ["an unknown form", cast({ form: "spiral" }), /form must be .* got "spiral"/],
    ["a NaN window", bandMask({ sinkTokens: 0, recentTokens: Number.NaN }), /recentTokens .* got NaN/],
    ["an empty window", bandMask({ sinkTokens: 0, recentTokens: 0 }), /recentTokens must be an integer >= 1, got 0/],
    ["negative sinks", bandMask({ sinkTokens: -1, recentTokens: 1 }), /sinkTokens .* got -1/],
    ["half a row", bandMask({ sinkTokens: 0, recentTokens: 1, denseFromRow: 0.5 }), /denseFromRow .* got 0.5/],
    ["a bitmap of another size", blocks(1, 1), /bits must have 4 elements, got 2/],
    ["a bit of 2", blocks(1, 0, 2, 1), /row block 1, key block 0: .* got 2/],
    ["a block above the diagonal", blocks(1, 1, 0, 1), /row block 0 keeps key block 1/],
    ["an empty block row", blocks(1, 0, 0, 0), /row block 1 keeps no key block/],
    ["bits in a plain array", cast({ form: "blocks", blockSize: 64, bits: [1, 0, 1, 1] }), /bits must be a Uint8Array/],
    ["a block size of 0", cast({ form: "blocks", blockSize: 0, bits: new Uint8Array(1) }), /blockSize .* got 0/],
    ["a column beyond n", verticalSlash([100], [0]), /columns\[0\] must be in 0..99, got 100/],
    ["a repeated column", verticalSlash([5, 5], [0]), /columns\[1\] = 5 follows 5/],
    ["ascending slashes", verticalSlash([], [0, 7]), /slashes must be descending .* slashes\[1\] = 7 follows 0/],
    ["a negative slash", verticalSlash([], [3, -1]), /slashes\[1\] must be in 0..99, got -1/],
    ["an offset list that is too short", ranges({ rangeOffsets: Int32Array.of(0, 3) }), /rangeOffsets must have 3/],
    ["falling offsets", ranges({ rangeOffsets: Int32Array.of(0, 4, 3) }), /falls from 4 to 3 at row block 1/],
    [
      "an offset list that begins late",
      ranges({ rangeOffsets: Int32Array.of(1, 1, 3) }),
      /rangeOffsets\[0\] must be 0/,
    ],
    ["columns that no row block has", ranges({ columnOffsets: new Int32Array(3) }), /columnOffsets must end at 1/],
    ["half a range", ranges({ ranges: Int32Array.of(0, 64, 0) }), /even number of elements, got 3/],
    ["a missing flag", ranges({ rangeFlags: new Uint8Array(2) }), /rangeFlags must have 3/],
    ["an empty range", ranges({ ranges: Int32Array.of(0, 64, 10, 10, 64, 100) }), /row block 1: range \[10, 10\)/],
    ["a negative range", ranges({ ranges: Int32Array.of(-1, 64, 0, 10, 64, 100) }), /row block 0: range \[-1, 64\)/],
    ["a range beyond n", ranges({ ranges: Int32Array.of(0, 64, 0, 10, 64, 101) }), /range \[64, 101\)/],
    ["ranges that overlap", ranges({ ranges: Int32Array.of(0, 64, 0, 70, 64, 100) }), /begins before 70/],
    [
      "a range above the diagonal",
      ranges({ ranges: Int32Array.of(64, 70, 0, 10, 64, 100) }),
      /lies above the diagonal/,
    ],
    ["a flag without a band", ranges({ rangeFlags: Uint8Array.of(0, 1, 0) }), /has flags 1, but the mask has 0 bands/],
    ["a column inside a range", ranges({ columns: Int32Array.of(5) }), /column 5 lies inside range \[0, 10\)/],
    ["a column beyond its rows", ranges({ columns: Int32Array.of(100) }), /column must be in 0..99, got 100/],
    [
      "columns out of order",
      ranges({ columnOffsets: Int32Array.of(0, 0, 2), columns: Int32Array.of(30, 20) }),
      /column 20 follows 30/,
    ],
    ["rows before the first key", ranges({ ranges: Int32Array.of(3, 64, 0, 10, 64, 100) }), /row 0 keeps no key/],
    [
      "rows whose keys all fail the row test",
      ranges({
        ranges: Int32Array.of(0, 64, 0, 10, 11, 20),
        rangeFlags: Uint8Array.of(0, 1, 1),
        columnOffsets: new Int32Array(3),
        columns: new Int32Array(0),
        bands: [{ sinkTokens: 0, recentTokens: 60, denseFromRow: 1000 }],
      }),
      /row block 1: row 79 keeps no key/,
    ],
    ["too many bands", ranges({ bands: new Array(9).fill(bandMask({ sinkTokens: 0, recentTokens: 1 })) }), /at most 8/],
  ])("%s is refused", (_, mask, message) => {
    expect(() => validateMask(mask, 100)).toThrow(
      expect.objectContaining({ code: "ERR_PLUGIN_RESULT", message: expect.stringMatching(message) }),
    );
  });
});

function readSafetensors(url: URL): { tensor(name: string): Int32Array } {
  const file = readFileSync(url);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerBytes));
  return {
    tensor(name) {
      const [start, end] = header[name].data_offsets;
      const bytes = file.subarray(8 + headerBytes + start, 8 + headerBytes + end);
      return new Int32Array(Uint8Array.from(bytes).buffer);
    },
  };
}
