import { type FloatDtype, type HeadTensor, headsFirst, toBf16 } from "@winnow/core";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

export interface AttentionShape {
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Attention operands of one layer over `length` tokens. */
export interface Operands {
  /** `[h, n, d]`, float32. */
  readonly q: HeadTensor;
  /** `[hKv, n, d]`, float32. */
  readonly k: HeadTensor;
  readonly v: HeadTensor;
  /** `[h, n, d]`, float32. */
  readonly out: HeadTensor;
  /** 1 / sqrt(d). */
  readonly scale: number;
}

/** Random numbers of mean 0 and variance 1 (uniform: the kernels' time does not depend on them). Same seed, same numbers. */
export function randomOperands(shape: AttentionShape, length: number, seed = 1): Operands {
  const random = xoroshiro128plus(seed);
  const width = Math.sqrt(12);
  const tensor = (heads: number) => {
    const data = new Float32Array(heads * length * shape.headDim);
    for (let i = 0; i < data.length; i++) data[i] = width * (uniformFloat64(random) - 0.5);
    return headsFirst(data, heads, length, shape.headDim);
  };
  return {
    q: tensor(shape.queryHeads),
    k: tensor(shape.kvHeads),
    v: tensor(shape.kvHeads),
    out: headsFirst(
      new Float32Array(shape.queryHeads * length * shape.headDim),
      shape.queryHeads,
      length,
      shape.headDim,
    ),
    scale: 1 / Math.sqrt(shape.headDim),
  };
}

/** Keys and values as a cache of this type holds them. */
export function inCache({ k, v }: Operands, dtype: FloatDtype): Pick<Operands, "k" | "v"> {
  if (dtype === "f32") return { k, v };
  const half = (x: HeadTensor) =>
    headsFirst(Uint16Array.from(x.data as Float32Array, toBf16), x.heads, x.length, x.headDim);
  return { k: half(k), v: half(v) };
}

/** Query-key pairs of causal attention, all heads. */
export function causalPairs(queryHeads: number, length: number): number {
  return (queryHeads * length * (length + 1)) / 2;
}
