import type { Activation, FloatDtype, HeadTensor, Mask, Operations } from "@winnow/core";
import { headsFirst, tokensFirst } from "@winnow/core";
import { randomFloats, randomHeads, zeroHeads } from "./data.js";

/** Something to compute with any implementation of the operations; new buffers on each run. */
export interface Case {
  readonly title: string;
  /** Bound of the absolute difference from float64, derived in a comment where it is chosen. */
  readonly tolerance: number;
  run(operations: Operations): ArrayLike<number>;
}

const ulp = 2 ** -24;
const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

function linearCases(): Case[] {
  const sizes = [
    [1, 1, 1],
    [3, 17, 15],
    [5, 64, 33],
    [130, 40, 50],
  ] as const;
  return dtypes.flatMap((dtype) =>
    sizes.map(([rows, inFeatures, outFeatures]) => ({
      title: `linear ${dtype} multiplies ${rows} rows of ${inFeatures} into ${outFeatures}, on top of the old output`,
      // `in` products below 1, summed one after the other.
      tolerance: (inFeatures + 2) * (inFeatures + 2) * ulp,
      run(operations: Operations) {
        const bias = randomFloats(outFeatures, 3);
        const data = randomFloats(outFeatures * inFeatures, 2);
        const dense = { format: "dense", dtype: "f32", outFeatures, inFeatures, data, bias } as const;
        const out = randomFloats(rows * outFeatures, 4);
        const x = randomFloats(rows * inFeatures, 1);
        operations.linear(x, rows, operations.packWeight(dense, dtype), out, true);
        return out;
      },
    })),
  );
}

function elementwiseCases(): Case[] {
  const activations: Activation[] = ["silu", "gelu", "gelu-tanh", "relu"];
  return [
    {
      title: "embed copies rows of the table by id",
      tolerance: 0,
      run(operations) {
        const out = new Float32Array(4 * 5);
        operations.embed(Int32Array.of(6, 0, 2, 2), randomFloats(7 * 5, 1), 5, out);
        return out;
      },
    },
    {
      title: "rmsNorm divides each row by its root mean square",
      // Values below 2 after the norm; the factor and two products are rounded.
      tolerance: 8 * ulp,
      run(operations) {
        const x = randomFloats(33 * 70, 1);
        operations.rmsNorm(x, 33, 70, randomFloats(70, 2), 1e-5, x);
        return x;
      },
    },
    {
      title: "rope turns channel pairs by the angle of the token's position",
      tolerance: 4 * ulp,
      run(operations) {
        const x = randomHeads({ heads: 3, length: 40, headDim: 20 }, 1, { layout: tokensFirst });
        const angles = randomFloats(50 * 10, 2);
        const positions = Int32Array.from({ length: 40 }, (_, t) => (t * 7) % 50);
        operations.rope(x, positions, angles.map(Math.cos), angles.map(Math.sin));
        return x.data;
      },
    },
    ...activations.map((activation) => ({
      title: `gatedActivation ${activation} multiplies the activated gate with the other half`,
      // Arguments up to 10, whose rounding the exponential passes on, plus 2e-7 of the exponential itself.
      tolerance: 40 * ulp,
      run(operations: Operations) {
        const gate = randomFloats(1001, 1).map((x) => 10 * x);
        operations.gatedActivation(gate, randomFloats(1001, 2), 1001, activation);
        return gate;
      },
    })),
    {
      title: "add adds element by element",
      tolerance: 0,
      run(operations) {
        const x = randomFloats(999, 1);
        operations.add(x, randomFloats(999, 2), 999);
        return x;
      },
    },
  ];
}

function cacheCases(): Case[] {
  return dtypes.map((dtype) => ({
    title: `storeTokens and gatherTokens fill and thin out a ${dtype} cache`,
    tolerance: 0,
    run(operations) {
      const cache = randomHeads({ heads: 2, length: 30, headDim: 9 }, 1, { dtype });
      operations.storeTokens(randomHeads({ heads: 2, length: 12, headDim: 9 }, 2, { layout: tokensFirst }), cache, 18);
      operations.gatherTokens(cache, Int32Array.of(0, 5, 17, 18, 29, 3, 4, 20), Int32Array.of(0, 5, 8), cache);
      return cache.data;
    },
  }));
}

const ranges: Mask = {
  form: "ranges",
  blockSize: 32,
  rangeOffsets: Int32Array.of(0, 1, 3, 4, 6, 8, 9, 10),
  ranges: Int32Array.of(0, 32, 0, 5, 20, 64, 32, 96, 0, 10, 60, 128, 64, 100, 120, 160, 0, 192, 190, 200),
  rangeFlags: Uint8Array.of(0, 0, 1, 3, 0, 1, 0, 0, 2, 0),
  columnOffsets: Int32Array.of(0, 0, 2, 3, 3, 5, 5, 8),
  columns: Int32Array.of(7, 19, 3, 11, 110, 5, 63, 64),
  bands: [
    { sinkTokens: 3, recentTokens: 20, denseFromRow: 200 },
    { sinkTokens: 0, recentTokens: 50, denseFromRow: 180 },
  ],
};

/** Blocks (a, b) with b = a, b = 0, or chosen by a rule without period. */
function blockMask(n: number, blockSize: number): Mask {
  const blocks = Math.ceil(n / blockSize);
  const bits = new Uint8Array(blocks * blocks);
  for (let a = 0; a < blocks; a++)
    for (let b = 0; b <= a; b++) bits[a * blocks + b] = Number(b === a || (a * a + 3 * b) % 5 === 0);
  return { form: "blocks", blockSize, bits };
}

function masksFor(n: number): [name: string, mask: Mask][] {
  const within = (values: number[]) => Int32Array.from(values.filter((value) => value < n));
  return [
    ["dense", { form: "dense" }],
    ["band", { form: "band", sinkTokens: 4, recentTokens: 37, denseFromRow: Number.MAX_SAFE_INTEGER }],
    ["band with a dense strip", { form: "band", sinkTokens: 0, recentTokens: 1, denseFromRow: Math.floor(n / 2) }],
    ["blocks of 64", blockMask(n, 64)],
    ["blocks of 24", blockMask(n, 24)],
    [
      "vertical-slash",
      { form: "vertical-slash", columns: within([0, 9, 70, 130]), slashes: within([150, 66, 5, 0]), exact: false },
    ],
  ];
}

function prefillCase(dtype: FloatDtype, n: number, headDim: number, name: string, masks: Mask[]): Case {
  return {
    title: `prefillAttention ${dtype} attends over ${n} tokens of width ${headDim}, mask ${name}`,
    // Weighted means of values below 1: f32 rounds scores up to 2 and as many terms as keys; bf16 rounds q and the weights to 8 bits.
    tolerance: dtype === "f32" ? 64 * ulp : 2 ** -6,
    run(operations) {
      const q = randomHeads({ heads: 4, length: n, headDim }, 1, { layout: tokensFirst });
      const k = randomHeads({ heads: 2, length: n, headDim }, 2, { dtype });
      const v = randomHeads({ heads: 2, length: n, headDim }, 3, { dtype });
      const out = zeroHeads({ heads: 4, length: n, headDim });
      const logSumExp = new Float32Array(4 * n);
      operations.prefillAttention({ q, k, v, out, scale: headDim ** -0.5, masks, logSumExp });
      return Float32Array.of(...(out.data as Float32Array), ...logSumExp);
    },
  };
}

function prefillCases(): Case[] {
  const perSize = [1, 63, 65, 200].flatMap((n) =>
    masksFor(n).flatMap(([name, mask]) =>
      dtypes.map((dtype) => prefillCase(dtype, n, n === 65 ? 80 : 16, name, [mask])),
    ),
  );
  const mixed: Mask[] = masksFor(200)
    .slice(0, 4)
    .map(([, mask]) => mask);
  return [
    ...perSize,
    prefillCase("f32", 200, 16, "ranges with two bands", [ranges]),
    prefillCase("f32", 200, 64, "of each head", mixed),
  ];
}

interface Read {
  name: string;
  length: number;
  lists?: { indices: Int32Array; offsets: Int32Array };
  lengths?: Int32Array;
}

function decodeCases(): Case[] {
  const indices = Int32Array.of(0, 3, 99, 50, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 98);
  const reads: Read[] = [
    { name: "one token", length: 1 },
    { name: "all of 300 tokens", length: 300 },
    { name: "heads of different length", length: 100, lengths: Int32Array.of(100, 33) },
    { name: "lists per head", length: 100, lists: { indices, offsets: Int32Array.of(0, 3, 4, 22, 23) } },
  ];
  return dtypes.flatMap((dtype) =>
    reads.map(({ name, length, lists, lengths }) => ({
      title: `decodeAttention ${dtype} reads ${name}`,
      tolerance: dtype === "f32" ? 64 * ulp : 2 ** -6,
      run(operations: Operations) {
        const q = randomHeads({ heads: 4, length: 1, headDim: 40 }, 1);
        const k = randomHeads({ heads: 2, length, headDim: 40 }, 2, { dtype });
        const v = randomHeads({ heads: 2, length, headDim: 40 }, 3, { dtype });
        const out = zeroHeads({ heads: 4, length: 1, headDim: 40 });
        const logSumExp = new Float32Array(4);
        const scores = new Float32Array(lists ? 0 : 4 * length);
        const read = lists ? { tokens: lists } : { scores, ...(lengths && { lengths }) };
        operations.decodeAttention({ q, k, v, out, scale: 40 ** -0.5, logSumExp, ...read });
        return Float32Array.of(...(out.data as Float32Array), ...logSumExp, ...scores);
      },
    })),
  );
}

function primitiveCases(): Case[] {
  const sums = (name: "columnSums" | "diagonalSums") => (operations: Operations) => {
    const out = new Float32Array(333);
    operations[name](randomFloats(70 * 333, 1), 70, 333, out);
    return out;
  };
  const view = (dtype: FloatDtype): HeadTensor =>
    randomHeads({ heads: 2, length: 150, headDim: 24 }, 2, { dtype, layout: headsFirst });
  return [
    ...dtypes.flatMap((dtype): Case[] => [
      {
        title: `scores of ${dtype} keys hide what lies behind the causal offset`,
        tolerance: 24 * ulp,
        run(operations) {
          const q = randomHeads({ heads: 4, length: 66, headDim: 24 }, 1, { layout: tokensFirst });
          const out = new Float32Array(66 * 150);
          operations.scores({ q, k: view(dtype), head: 3, kvHead: 1, scale: 0.2, causalOffset: 84 }, out);
          return out;
        },
      },
      {
        title: `poolMean of ${dtype} tokens divides a short last block by the full block size`,
        tolerance: 64 * ulp,
        run(operations) {
          const out = new Float32Array(4 * 24).fill(7);
          operations.poolMean(view(dtype), 1, 64, out);
          return out;
        },
      },
    ]),
    {
      title: "softmaxRows turns hidden entries and hidden rows into zeros",
      tolerance: 16 * ulp,
      run(operations) {
        const x = randomFloats(5 * 77, 1).map((value, i) => (i < 77 || i % 3 === 0 ? -Infinity : 8 * value));
        operations.softmaxRows(x, 5, 77);
        return x;
      },
    },
    {
      title: "columnSums adds rows",
      tolerance: 70 * 70 * ulp,
      run: sums("columnSums"),
    },
    {
      title: "diagonalSums adds along diagonals by their distance from the causal one",
      tolerance: 70 * 70 * ulp,
      run: sums("diagonalSums"),
    },
    {
      title: "outerScores multiplies all rows with all rows",
      tolerance: 24 * ulp,
      run(operations) {
        const out = new Float32Array(9 * 21);
        operations.outerScores(randomFloats(9 * 20, 1), randomFloats(21 * 20, 2), 20, 0.5, out);
        return out;
      },
    },
    {
      title: "topK takes the lower index of equal values and counts from start",
      tolerance: 0,
      run: (operations) =>
        operations.topK(
          randomFloats(3000, 1).map((x) => Math.round(8 * x)),
          777,
          100,
          2900,
        ),
    },
    {
      title: "topKRows selects in each row",
      tolerance: 0,
      run: (operations) => operations.topKRows(randomFloats(6 * 500, 1), 6, 500, 60),
    },
    ...[0, 0.3, 0.95, 1].map((mass) => ({
      title: `prefixMass takes the fewest values that hold ${mass} of the sum`,
      tolerance: 0,
      run: (operations: Operations) => operations.prefixMass(randomFloats(700, 1).map(Math.abs), mass, 50, 650),
    })),
  ];
}

export const cases: readonly Case[] = [
  ...linearCases(),
  ...elementwiseCases(),
  ...cacheCases(),
  ...prefillCases(),
  ...decodeCases(),
  ...primitiveCases(),
];
