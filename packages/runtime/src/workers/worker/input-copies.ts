import { type FloatData, type HeadTensor, headsFirst, tokensFirst } from "@winnow/core";

/**
 * Copies of tensors that attention reads after a plugin has seen them, so that a plugin cannot change its run by writing into them. The memory is used
 * again by the next layer and the next prompt: fresh pages cost more than the copying.
 */
export class InputCopies {
  readonly #buffers = new Map<string, FloatData>();

  /** A copy of `[heads, length, headDim]`, valid until the next one of the same name. O(heads * length * headDim). */
  of(name: string, x: HeadTensor): HeadTensor {
    const { data, offset, heads, length, headDim, headStride, tokenStride } = x;
    const copy = this.#buffer(name, data, heads * length * headDim);
    if (tokenStride === heads * headDim && headStride === headDim) {
      copy.set(data.subarray(offset, offset + copy.length));
      return tokensFirst(copy, heads, length, headDim);
    }
    for (let head = 0; head < heads; head++) {
      const start = offset + head * headStride;
      copy.set(data.subarray(start, start + length * headDim), head * length * headDim);
    }
    return headsFirst(copy, heads, length, headDim);
  }

  #buffer(name: string, like: FloatData, elements: number): FloatData {
    const known = this.#buffers.get(name);
    const buffer = known && known.length >= elements ? known : emptyLike(like, elements);
    this.#buffers.set(name, buffer);
    return buffer.subarray(0, elements);
  }
}

function emptyLike(like: FloatData, elements: number): FloatData {
  return like instanceof Float32Array ? new Float32Array(elements) : new Uint16Array(elements);
}
