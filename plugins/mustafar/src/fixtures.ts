import {
  type CompressContext,
  type Fixture,
  type FixtureRunner,
  type HeadTensor,
  headsFirst,
  type Operations,
  prunerFromElementScorer,
  sliceTokens,
} from "@winnow/core";
import { elementsKept, mustafar } from "./mustafar.js";
import { tilesOf } from "./tiles.js";

type Outputs = Record<string, ArrayLike<number>>;
type Part = "k" | "v";

const parts: readonly Part[] = ["k", "v"];
const runners = { prune: runPrune, compress: runCompress, flow: runFlow, "flow-each-token": runFlow };

export const fixtures: FixtureRunner = {
  kinds: Object.keys(runners),
  run: (fixture, operations) => runners[fixture.kind as keyof typeof runners](fixture, operations),
};

function runPrune(fixture: Fixture, operations: Operations): Outputs {
  const { hkv, n, d } = fixture.params as Record<string, number>;
  const outputs: Record<string, number[]> = { "out.keep_k": [], "out.keep_v": [] };
  for (const sparsity of fixture.params.sparsities as number[])
    for (const part of parts) {
      const x = headsFirst(copyOf(fixture, `in.${part}`), hkv, n, d);
      prune(x, sparsity, operations);
      outputs[`out.keep_${part}`].push(...left(x));
    }
  return outputs;
}

function runCompress(fixture: Fixture, operations: Operations): Outputs {
  const { hkv, n, d, empty } = fixture.params as Record<string, number>;
  const outputs: Outputs = {};
  for (const part of parts) {
    // Some tiles of this case were emptied after pruning, to see how they are stored.
    const x = headsFirst(copyOf(fixture, empty ? `mid.pruned_${part}` : `in.${part}`), hkv, n, d);
    if (!empty) prune(x, sparsityOf(fixture, part), operations);
    outputs[`mid.pruned_${part}`] = x.data;
    Object.assign(outputs, tileOutputs(x.data, { heads: hkv, n, d }, part));
  }
  return outputs;
}

/** A prompt, then one step per query: attention over what is left, then the pruner's turn. */
function runFlow(fixture: Fixture, operations: Operations): Outputs {
  const { h, hkv, d, prompt, steps, each } = fixture.params as Record<string, number>;
  const total = prompt + steps;
  const [k, v] = parts.map((part) => headsFirst(copyOf(fixture, `in.${part}`), hkv, total, d));
  const q = headsFirst(copyOf(fixture, "in.q"), h, steps, d);
  const out = headsFirst(new Float32Array(h * steps * d), h, steps, d);
  const [keySparsity, valueSparsity] = parts.map((part) => sparsityOf(fixture, part));
  const scorer = mustafar({ keySparsity, valueSparsity, recentTokens: 32, groupTokens: each ? 1 : 256 });
  const model = { layers: 1, queryHeads: h, kvHeads: hkv, headDim: d, contextLength: total };
  const state: number[] = [];
  let compressed = 0;
  for (let step = -1; step < steps; step++) {
    const length = prompt + step + 1;
    const [seenK, seenV] = [k, v].map((x) => sliceTokens(x, 0, length));
    if (step >= 0) {
      const [row, target] = [q, out].map((x) => sliceTokens(x, step, step + 1));
      operations.decodeAttention({ q: row, k: seenK, v: seenV, out: target, scale: 1 / Math.sqrt(d) });
    }
    const [restK, restV] = [seenK, seenV].map((x) => sliceTokens(x, compressed, length));
    const context: CompressContext = { model, layer: 0, k: restK, v: restV, compressed, primitives: operations };
    const result = prunerFromElementScorer(scorer).compress?.(context, null);
    if (result) {
      dropSmaller(sliceTokens(restK, 0, result.count), result.k);
      dropSmaller(sliceTokens(restV, 0, result.count), result.v);
      compressed += result.count;
    }
    state.push(compressed, length - compressed);
  }
  if (each) return { "out.o": out.data, "out.keep_k": left(k), "out.keep_v": left(v) };
  const stored = { heads: hkv, n: compressed, d };
  return {
    "out.state": state,
    "out.o": out.data,
    ...tileOutputs(contiguous(sliceTokens(k, 0, compressed)), stored, "k"),
    ...tileOutputs(contiguous(sliceTokens(v, 0, compressed)), stored, "v"),
  };
}

/** The method's choice in all rows. */
function prune(x: HeadTensor, sparsity: number, operations: Operations): void {
  const kept = elementsKept(x.headDim, sparsity);
  const sizes = (x.data as Float32Array).map(Math.abs);
  dropSmaller(x, { kept, indices: operations.topKRows(sizes, x.heads * x.length, x.headDim, kept) });
}

/**
 * Zeroes what is smaller than the least element that the method keeps. Elements that tie with it are left, as the reference leaves them: its rows hold as many
 * elements as there are, rows of Winnow all the same number.
 */
function dropSmaller(x: HeadTensor, { kept, indices }: { kept: number; indices: ArrayLike<number> }): void {
  for (let row = 0; row < x.heads * x.length; row++) {
    const place = x.offset + Math.floor(row / x.length) * x.headStride + (row % x.length) * x.tokenStride;
    let least = Number.POSITIVE_INFINITY;
    for (let j = row * kept; j < (row + 1) * kept; j++) least = Math.min(least, Math.abs(x.data[place + indices[j]]));
    for (let c = 0; c < x.headDim; c++) if (Math.abs(x.data[place + c]) < least) x.data[place + c] = 0;
  }
}

/** 1 for every element that is not zero. */
function left(x: HeadTensor): Uint8Array {
  return Uint8Array.from(x.data, (value) => (value === 0 ? 0 : 1));
}

function tileOutputs(
  pruned: ArrayLike<number>,
  { heads, n, d }: { readonly heads: number; readonly n: number; readonly d: number },
  part: Part,
): Outputs {
  const { bitmap, starts, values, offsets } = tilesOf(pruned, heads, n, d, part);
  return {
    [`out.${part}_bmp`]: bitmap,
    [`out.${part}_idx`]: starts,
    [`out.${part}_nz`]: values,
    [`out.${part}_nz_offset`]: offsets,
  };
}

function sparsityOf({ params }: Fixture, part: Part): number {
  return params[`${part}_sparsity`] as number;
}

function copyOf({ tensors }: Fixture, name: string): Float32Array {
  return (tensors.get(name)!.data as Float32Array).slice();
}

function contiguous(x: HeadTensor): Float32Array {
  const out = new Float32Array(x.heads * x.length * x.headDim);
  for (let head = 0; head < x.heads; head++) {
    const start = x.offset + head * x.headStride;
    out.set(x.data.subarray(start, start + x.length * x.headDim), head * x.length * x.headDim);
  }
  return out;
}
