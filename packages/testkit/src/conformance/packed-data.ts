import {
  elementAt,
  type FloatDtype,
  fromBf16,
  type HeadTensor,
  headsFirst,
  type KeptElements,
  type PackedAttention,
  type PackedRows,
} from "@winnow/core";
import { Seeded, toStored } from "../seeded.js";

/** Room for rows of `x`, filled with what no row holds, so that what is not written shows. */
export function emptyPacked(x: HeadTensor, capacity: number, kept: number): PackedRows {
  const { heads, headDim, dtype } = x;
  const values = toStored(new Float32Array(heads * capacity * kept).fill(Number.NaN), dtype);
  const bitmap = new Uint8Array(heads * capacity * Math.ceil(headDim / 8)).fill(0xff);
  return { dtype, heads, length: 0, capacity, headDim, kept, bitmap, values };
}

/** `kept` random elements of each row of `[heads, count, headDim]`. */
export function randomElements(seeded: Seeded, rows: number, headDim: number, kept: number): KeptElements {
  const indices = new Uint16Array(rows * kept);
  for (let row = 0; row < rows; row++) indices.set(seeded.subset(kept, headDim), row * kept);
  return { kept, indices };
}

/** The rows with zeros where nothing is stored, read bit by bit. */
export function expandPacked(x: PackedRows): HeadTensor {
  const { headDim, kept } = x;
  const data = new Float32Array(x.heads * x.length * headDim);
  for (let row = 0; row < x.heads * x.length; row++) {
    const place = Math.floor(row / x.length) * x.capacity + (row % x.length);
    let next = place * kept;
    for (let c = 0; c < headDim; c++) {
      const byte = x.bitmap[place * Math.ceil(headDim / 8) + Math.floor(c / 8)];
      if (((byte >> (c % 8)) & 1) === 0) continue;
      const value = x.values[next++];
      data[row * headDim + c] = x.dtype === "bf16" ? fromBf16(value) : value;
    }
  }
  return headsFirst(toStored(data, x.dtype), x.heads, x.length, headDim);
}

export interface PackedShape {
  readonly dtype: FloatDtype;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly packed: number;
  /** Tokens that follow the packed ones. */
  readonly rest: number;
  readonly keptK: number;
  readonly keptV: number;
  /** Factors of all values of q, K and V. Default 1. */
  readonly factors?: readonly [q: number, k: number, v: number];
}

/** A task whose packed rows were written by `pack`, and the cache that it stands for, zeros included. */
export function packedTask(
  seed: number,
  shape: PackedShape,
  pack: (source: HeadTensor, elements: KeptElements, target: PackedRows, start: number) => void,
): { task: PackedAttention; dense: { k: HeadTensor; v: HeadTensor } } {
  const seeded = new Seeded(seed);
  const { dtype, queryHeads, kvHeads, headDim, packed, rest, factors = [1, 1, 1] } = shape;
  const numbers = (count: number, factor: number) => seeded.normals(count).map((x) => x * factor);
  const cache = (length: number, factor: number) =>
    headsFirst(toStored(numbers(kvHeads * length * headDim, factor), dtype), kvHeads, length, headDim);
  const part = (kept: number, factor: number) => {
    const source = cache(packed, factor);
    const target = emptyPacked(source, packed + 2, kept);
    pack(source, randomElements(seeded, kvHeads * packed, headDim, kept), target, 0);
    const rows = { ...target, length: packed };
    const tail = cache(rest, factor);
    return { rows, tail, dense: joined(expandPacked(rows), tail) };
  };
  const q = headsFirst(numbers(queryHeads * headDim, factors[0]), queryHeads, 1, headDim);
  const [k, v] = [part(shape.keptK, factors[1]), part(shape.keptV, factors[2])];
  return {
    task: {
      ...{
        q,
        packedK: k.rows,
        packedV: v.rows,
        k: k.tail,
        v: v.tail,
        out: { ...q, data: new Float32Array(q.data.length).fill(Number.NaN) },
      },
      scale: 1 / Math.sqrt(headDim),
      logSumExp: new Float32Array(queryHeads),
    },
    dense: { k: k.dense, v: v.dense },
  };
}

/** Tokens of `a`, then those of `b`. */
function joined(a: HeadTensor, b: HeadTensor): HeadTensor {
  const length = a.length + b.length;
  const values = Float32Array.from({ length: a.heads * length * a.headDim }, (_, i) => {
    const [row, c] = [Math.floor(i / a.headDim), i % a.headDim];
    const [head, token] = [Math.floor(row / length), row % length];
    return token < a.length ? elementAt(a, head, token, c) : elementAt(b, head, token - a.length, c);
  });
  return headsFirst(toStored(values, a.dtype), a.heads, length, a.headDim);
}
