import {
  attendFixture,
  type Fixture,
  type FixtureRunner,
  fixtureTensor,
  type Mask,
  maskFixtureContext,
  maskFixtureOutputs,
  type Operations,
  type RangesMask,
  type VerticalSlashBlocks,
  verticalSlashBlocks,
} from "@winnow/core";
import { type BlockChoice, blockMask, blocksOfRow, chooseBlocks, scoreBlocks } from "./block-sparse.js";
import { type HeadEntry, headTypes } from "./head-config.js";
import { headPattern, minference } from "./minference.js";
import { options as schema } from "./options.js";
import { searchByRecall } from "./search.js";
import { createScratch, estimateLines, type Lines, selectLines } from "./vertical-slash.js";

type Outputs = Record<string, ArrayLike<number>>;

/** Outputs of the reference are reproduced with its own rules. */
const strict = schema.parse({ strictReference: true });

/** Estimate, selection and conversion of vertical-slash heads; attention over the computed cover and over the exact pairs. */
function runVerticalSlash(fixture: Fixture, operations: Operations): Outputs {
  const params = fixture.params as unknown as VerticalSlashParams;
  const options = { ...strict, sinkTokens: params.forced_columns, recentTokens: params.forced_slashes };
  const context = maskFixtureContext(fixture, operations);
  const n = context.q.length;
  const scratch = createScratch(n, params.last_q);
  const heads = params.sizes.map(([v, s], head) => {
    const estimate = estimateLines(context, head, scratch);
    const scores = { vertical: estimate.vertical.slice(), slash: estimate.slash.slice() };
    const sizes = headPattern(["vertical_and_slash", v, s], n, options);
    return { ...scores, lines: selectLines(estimate, sizes, options, operations) };
  });
  const covers = heads.map(({ lines }): Mask => ({ form: "vertical-slash", ...lines, exact: false }));
  const exact = heads.map(({ lines }) => exactPairs(lines, n));
  const columns = heads.map(({ lines }) => lines.columns);
  const slashes = heads.map(({ lines }) => lines.slashes);
  return {
    "mid.vertical_score": heads.flatMap(({ vertical }) => Array.from(vertical)),
    "mid.slash_score": heads.flatMap(({ slash }) => Array.from(slash)),
    ...paddedLists("out.columns", "out.columns_size", columns),
    ...paddedLists("out.slashes", "out.slashes_size", slashes),
    ...blockLists(
      heads.map(({ lines }) => verticalSlashBlocks(lines.columns, lines.slashes, n, params.block)),
      Math.ceil(n / params.block),
    ),
    ...maskFixtureOutputs(fixture, covers, operations),
    ...(fixture.tensors.has("out.o_exact") && { "out.o_exact": attendFixture(fixture, exact, operations) }),
  };
}

/** The wanted pairs as one list of keys per row: unlike the exact vertical-slash form, every kernel package takes it. O(n^2). */
function exactPairs({ columns, slashes }: Lines, n: number): RangesMask {
  const columnOffsets = new Int32Array(n + 1);
  const keys: number[] = [];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) if (columns.includes(j) || slashes.includes(i - j)) keys.push(j);
    columnOffsets[i + 1] = keys.length;
  }
  const none = new Int32Array(0);
  return {
    form: "ranges",
    blockSize: 1,
    rangeOffsets: new Int32Array(n + 1),
    ranges: none,
    rangeFlags: new Uint8Array(0),
    columnOffsets,
    columns: Int32Array.from(keys),
    bands: [],
  };
}

interface VerticalSlashParams {
  readonly last_q: number;
  readonly block: number;
  readonly sizes: readonly (readonly [number, number])[];
  readonly forced_columns: number;
  readonly forced_slashes: number;
}

/** Columns and offsets to blocks and columns per query block. */
function runConversion(fixture: Fixture): Outputs {
  const block = fixture.params.block as number;
  const lengths = Array.from(fixtureTensor(fixture, "in.n").data);
  const columns = recordedLists(fixture, "in.columns");
  const slashes = recordedLists(fixture, "in.slashes");
  const cases = lengths.map((n, c) => verticalSlashBlocks(columns[c], slashes[c], n, block));
  return blockLists(cases, Math.ceil(Math.max(...lengths) / block));
}

/** Pooled scores, chosen blocks and the mask of block-sparse heads. */
function runBlockSparse(fixture: Fixture, operations: Operations): Outputs {
  const { block, top_k } = fixture.params as { block: number; top_k: number };
  const context = maskFixtureContext(fixture, operations);
  const n = context.q.length;
  const heads = Array.from({ length: context.q.heads }, (_, head) => {
    const scores = scoreBlocks(context, head, block);
    const choice = chooseBlocks(scores, top_k, operations);
    return { scores, choice, mask: blockMask(choice, n, block) };
  });
  return {
    "mid.pooled_score": heads.flatMap(({ scores }) => Array.from(scores.scores)),
    "out.block_index": heads.flatMap(({ choice }, head) => usedChoices(fixture, choice, head, Math.ceil(n / block))),
    "out.block_mask": heads.flatMap(({ mask }) => Array.from(mask.bits)),
    ...maskFixtureOutputs(
      fixture,
      heads.map(({ mask }) => mask),
      operations,
    ),
  };
}

/**
 * Chosen blocks as recorded. Two kinds of entries are taken from the record itself, because the reference ranks equal scores there in an order that its
 * library leaves open, and never reads the result: those of short rows beyond the diagonal (all -Infinity) and those of the padding block (all 0).
 */
function usedChoices(fixture: Fixture, choice: BlockChoice, head: number, rowBlocks: number): number[] {
  const { blocks, width } = choice;
  const { data } = fixtureTensor(fixture, "out.block_index");
  const entries = Array.from(data.subarray(head * blocks * width, (head + 1) * blocks * width));
  for (let a = 0; a < rowBlocks; a++) entries.splice(a * width, Math.min(a + 1, width), ...blocksOfRow(choice, a));
  return entries;
}

/** One layer of a head configuration, with sizes scaled. */
function runDispatch(fixture: Fixture, operations: Operations): Outputs {
  const params = fixture.params as unknown as DispatchParams;
  const [, verticalSize, slashSize] = params.default;
  const options = { ...strict, ratio: params.minference_ratio, verticalSize, slashSize };
  const context = maskFixtureContext(fixture, operations);
  const patterns = Array.from({ length: context.q.heads }, (_, head) =>
    headPattern(params.layer[head] ?? params.default, context.q.length, options),
  );
  return {
    "out.head_type": patterns.map(({ type }) => headTypes.indexOf(type)),
    "out.head_v": patterns.map(({ v }) => v),
    "out.head_s": patterns.map(({ s }) => s),
    ...maskFixtureOutputs(fixture, minference(options, [params.layer]).plan(context), operations),
  };
}

interface DispatchParams {
  readonly layer: Record<string, HeadEntry>;
  readonly minference_ratio: number;
  readonly default: HeadEntry;
}

/** The offline search by attention recall. */
function runSearch(fixture: Fixture, operations: Operations): Outputs {
  const params = fixture.params as unknown as { candidates: HeadEntry[]; first_row: number };
  const candidates = params.candidates.map(([type, v, s]) => ({ type, v, s }));
  const context = maskFixtureContext(fixture, operations);
  const heads = Array.from({ length: context.q.heads }, (_, head) =>
    searchByRecall(context, head, params.first_row, 1, candidates),
  );
  return {
    "out.recall": heads.flatMap(({ scores }) => scores),
    "out.winner": heads.map(({ winner }) => winner),
    "out.stored_v": heads.map(({ entry }) => entry[1]),
    "out.stored_s": heads.map(({ entry }) => entry[2]),
    "out.stored_score": heads.map(({ entry }) => entry[3] ?? Number.NaN),
  };
}

function recordedLists(fixture: Fixture, name: string): Int32Array[] {
  const { data, shape } = fixtureTensor(fixture, name);
  const sizes = Array.from(fixtureTensor(fixture, `${name}_size`).data);
  return sizes.map((size, c) => Int32Array.from(data.subarray(c * shape[1], c * shape[1] + size)));
}

/** Lists of unequal length in rows of one width, padded with -1, and their sizes. */
function paddedLists(name: string, sizeName: string, lists: readonly Int32Array[]): Outputs {
  const width = Math.max(1, ...lists.map((list) => list.length));
  const padded = new Int32Array(lists.length * width).fill(-1);
  lists.forEach((list, row) => {
    padded.set(list, row * width);
  });
  return { [name]: padded, [sizeName]: lists.map((list) => list.length) };
}

function blockLists(cases: readonly VerticalSlashBlocks[], rowBlocks: number): Outputs {
  const lists = (values: "blockOffset" | "columnIndex", starts: "blockStarts" | "columnStarts") =>
    cases.flatMap((converted) =>
      Array.from({ length: rowBlocks }, (_, a) =>
        converted[values].subarray(converted[starts][a] ?? 0, converted[starts][a + 1] ?? 0),
      ),
    );
  return {
    ...paddedLists("out.block_offset", "out.block_count", lists("blockOffset", "blockStarts")),
    ...paddedLists("out.column_index", "out.column_count", lists("columnIndex", "columnStarts")),
  };
}

const runners = {
  "vertical-slash": runVerticalSlash,
  conversion: runConversion,
  "block-sparse": runBlockSparse,
  dispatch: runDispatch,
  search: runSearch,
};

export const fixtures: FixtureRunner = {
  kinds: Object.keys(runners),
  run: (fixture, operations) => runners[fixture.kind as keyof typeof runners](fixture, operations),
};
